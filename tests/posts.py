"""Posts, and a table and a Telegram that are played for whoever sends them."""

from __future__ import annotations

from dataclasses import replace

from bot.delivery.relay import Relay
from bot.models import Media, MessageId, MessageRef
from bot.posts import Method, Post, PostState
from tests.people import GROUP, NOON, TARGET

PHOTO = Media("photo", "photo:1:2:00")


def post(number=1, text="text", **more):
    made = Post(
        id=number,
        state=PostState.PENDING,
        version=0,
        source=MessageRef(GROUP, MessageId(number)),
        part=0,
        target=TARGET,
        target_message_id=None,
        sent_version=None,
        reply_to=None,
        text=text,
        entities=(),
        media=None,
        album_id=None,
        attempts=0,
        recorded_at=NOON,
    )
    return replace(made, **more)


class FakeOutbox:
    """A line of posts that behaves as the table does."""

    def __init__(self, *posts):
        self.posts = {each.id: each for each in posts}
        self.errors = []
        self.aside = set()
        self.gone = set()
        self.ancestry = []

    async def last_posted(self, target):
        return MessageId(600)

    async def take_posts(self, target, method=None, *, but=(), after=0):
        wanted = list(Method) if method is None else [method]
        taken = next(filter(None, (self._next_posts(each, but, after) for each in wanted)), [])
        for each in taken:
            if each.sent_version is None:
                self._set(each, sent_version=each.version)
        return [replace(each, more=self._more(each)) for each in taken]

    def _more(self, taken):
        """Of one that was begun before, or that has a medium, the table does not look."""
        if taken.sent_version is not None or taken.media is not None:
            return True
        waiting = {PostState.PENDING, PostState.HELD, PostState.DELETE}
        return any(each.state in waiting and each.id != taken.id for each in self.posts.values())

    async def take_aside(self, target, *, but=()):
        waiting = {PostState.PENDING, PostState.EDIT, PostState.DELETE}
        aside = [self.posts[number] for number in sorted(self.aside.difference(but))]
        return [each for each in aside if each.state in waiting][:1]

    def _next_posts(self, method, but, after):
        line = self.posts.values()
        if method is not Method.SEND:
            line = sorted(line, key=lambda each: (each.id <= after, each.id))
        for each in line:
            if each.id in self.aside or each.id in but or each.method is not method:
                continue
            if each.state in {PostState.PENDING, PostState.EDIT, PostState.DELETE}:
                if each.album_id is None:
                    return [each]
                return [part for part in self.posts.values() if part.album_id == each.album_id]
        return []

    async def set_aside(self, post):
        self.aside.add(post.id)

    async def posted_after(self, target, message_id):
        return {each.target_message_id for each in self.posts.values() if each.target_message_id}

    async def ancestors(self, post):
        return [each for each in self.ancestry if each not in self.gone]

    async def messages_gone(self, target, ids):
        self.gone |= set(ids)
        for each in self.posts.values():
            if each.target_message_id in self.gone:
                self._set(each, state=PostState.GONE)

    async def post_unsent(self, post):
        self._set(post, sent_version=None, sent_as=None, sent_to=None)

    def _set(self, post, **changes):
        self.posts[post.id] = replace(self.posts[post.id], **changes)

    async def post_sent(self, post, message_id):
        self._set(post, state=PostState.SENT, target_message_id=message_id)

    async def post_edited(self, post):
        self._set(post, state=PostState.SENT)

    async def post_deleted(self, post):
        self._set(post, state=PostState.DELETED)

    async def post_failed(self, post, error):
        self.errors.append(error)
        self._set(post, state=PostState.FAILED)

    async def post_delayed(self, post, error, *, in_doubt):
        version = self.posts[post.id].sent_version if in_doubt else post.sent_version
        self._set(post, attempts=self.posts[post.id].attempts + 1, sent_version=version)

    def states(self):
        return [each.state for each in self.posts.values()]


class FakeTelegram:
    """Answers as scripted, an error or else the next message id, and remembers what was asked."""

    def __init__(self, *script):
        self.script = list(script)
        self.asked = []
        self.ids = iter(range(700, 800))
        self.found = {"text"}  # of what was sent before, what there is to be found
        self.deleted = set()  # in the target, by others

    def _answer(self, *asked):
        self.asked.append(asked)
        answer = self.script.pop(0) if self.script else None
        if isinstance(answer, Exception):
            raise answer
        return MessageId(next(self.ids))

    async def send_text(self, target, text, entities, *, reply_to, random_id, topic=0):
        return self._answer("text", text, reply_to)

    async def send_media(self, target, media, text, entities, *, source, reply_to, random_id):
        return self._answer("media", text, reply_to)

    async def send_album(self, target, parts, *, reply_to):
        first = self._answer("album", *(part.text for part in parts))
        return [MessageId(first + number) for number in range(len(parts))]

    async def edit(self, target, message_id, text, entities, media, *, source):
        self._answer("edit", message_id, text, *([media.kind] if media else []))

    async def delete(self, target, ids):
        self._answer("delete", *ids)

    async def find(self, target, text, media, *, after, known):
        self.asked.append(("find", text, after))
        return MessageId(after + 1) if text in self.found else None

    async def standing(self, target, ids):
        return set(ids) - self.deleted


def relay_of(outbox, telegram, **options):
    return Relay(outbox, telegram, TARGET, jitter=lambda: 0.0, **options)
