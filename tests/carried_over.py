"""Makes a database in the midst of everything, to be carried over to the versions that come.

    python -m tests.carried_over > tests/data/posts_of_schema_9.sql

Run by a version before its schema changes, it leaves posts in every state that there is, and what
Telegram shows by then. The table `shown` is what Telegram shows in the end, if that same version
goes on. `tests/test_carried_over.py` has the version of today go on instead.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bot import logs
from bot.delivery.relay import Relay
from bot.errors import MediumRefused, PostRefused, RetryLater, SentBefore
from bot.extras import Extras, LinkButton, Quote, entity_item
from bot.models import ChatId, Decision, Entity, Media, MessageId, Outcome, Reason, Tier
from bot.posts import Method
from bot.routes import Place
from bot.signal_fields import SignalFields
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.people import ALICE, GROUP, NOON, TARGET, says

OLD = ChatId(-77)  # the basic group that the target was
PHOTO, OTHER = Media("photo", "photo:1:2:00"), Media("photo", "photo:7:2:00")
POLL = Media("poll", 'poll:{"question": {"text": "Up?"}, "answers": [{"text": "yes"}]}')
BOLD = (Entity("bold", 0, 5),)
MUTE = {"#doubted", "#doubtpart"}  # of these Telegram does not say as which message it has them
QUOTE = Extras(silent=True, quote=Quote("TP1 @bob", (), 0))
BUTTONS = Extras(no_preview=True, buttons=((LinkButton("Chart", "https://example.org"),),))


def long(word):
    """Two posts."""
    return f"{word} " * (5_000 // (len(word) + 1))


class Target:
    """Telegram's side of some chats: a `random_id` is taken once.

    `fails`: what to raise for a text that holds a word; `loses`: words of texts that are taken
    without an answer.
    """

    def __init__(self, shown=(), taken=()):
        self.shown = {(chat, number): list(more) for chat, number, *more in shown}
        self.taken = dict(taken)  # random_id to message id
        self.fails, self.loses = {}, set()

    def _take(self, chat, text, entities, media, reply_to, random_id, extras):
        self._fail(text)
        if random_id not in self.taken:
            number = max([499, *(number for _, number in self.shown)]) + 1
            self.taken[random_id] = number
            dress = _json(entities), media and media.identity, _dress(extras), reply_to
            self.shown[chat, number] = [text, *dress]
        elif self.shown[chat, self.taken[random_id]][0].split()[0] in MUTE:
            raise SentBefore("RANDOM_ID_DUPLICATE")
        if any(word in text for word in self.loses):
            raise RetryLater("no answer")
        return MessageId(self.taken[random_id])

    def _fail(self, text):
        for word, error in self.fails.items():
            if word in text:
                raise error

    async def send_text(self, chat, text, entities, *, reply_to, random_id, extras=None):
        return self._take(chat, text, entities, None, reply_to, random_id, extras)

    async def send_media(
        self, chat, media, text, entities, *, source, reply_to, random_id, extras=None
    ):
        return self._take(chat, text, entities, media, reply_to, random_id, extras)

    async def send_album(self, chat, parts, *, reply_to, extras=None):
        return [
            self._take(chat, p.text, p.entities, p.media, reply_to, p.random_id, extras)
            for p in parts
        ]

    async def edit(self, chat, number, text, entities, media, *, source, extras=None):
        self._fail(text)
        shown = self.shown[chat, number]
        shown[:2] = text, _json(entities)
        shown[2] = shown[2] if media is None else media.identity

    async def delete(self, chat, ids):
        for number in ids:
            self._fail(self.shown.get((chat, number), [""])[0])
            self.shown.pop((chat, number), None)

    async def find(self, chat, text, media, *, after, known):
        found = [
            number
            for (where, number), (says, _, medium, *_) in self.shown.items()
            if where == chat and number > after and number not in known
            if says.strip() == text.strip() and medium == (media and media.identity)
        ]
        return MessageId(found[0]) if len(found) == 1 else None

    async def standing(self, chat, ids):
        return {number for number in ids if (chat, number) in self.shown}

    def rows(self):
        return sorted((*where, *more) for where, more in self.shown.items())


def _json(entities):
    return json.dumps([entity_item(entity) for entity in entities])


def _dress(extras):
    if extras is None:
        return None
    return repr((extras.silent, extras.no_preview, extras.quote, extras.buttons))


class Scene:
    def __init__(self, store, target, place=Place):
        self.store, self.target, self.place = store, target, place
        self.relay = Relay(store, target, TARGET, jitter=lambda: 0.0)
        self.flows, self.left, self.numbers = {}, set(), iter(range(1, 1_000))

    async def says(self, text, to=None, *, targets=(TARGET,), **more):
        message = says(ALICE, text, to=to, number=next(self.numbers), **more)
        if to is None:
            self.flows[message.id] = await self.store.add_signal(
                message,
                author=ALICE,
                marker="#",
                fields=SignalFields(),
                places=[self.place(each) for each in targets],
            )
        else:
            self.flows[message.id] = self.flows[to.id]
            decision = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, self.flows[to.id])
            await self.store.add_update(
                message, decision, author=ALICE, places=[self.place(each) for each in targets]
            )
        return message

    async def edits(self, message, text, **more):
        await self.store.edit(replace(message, text=text, **more), SignalFields())

    async def does(self, method=Method.SEND, *, times=1):
        """What is next to be done; what comes to nothing is left where it is."""
        for _ in range(times):
            posts = await self.store.take_posts(TARGET, method, but=self.left)
            try:
                await self.relay.deliver(posts)
            except RetryLater as exc:
                for post in posts:
                    await self.store.post_delayed(post, str(exc), in_doubt=True)
                    self.left.add(post.id)

    async def sent(self, text, to=None, *, parts=1, **more):
        message = await self.says(text, to, **more)
        await self.does(times=parts)
        return message

    async def lost(self, text, to=None, *, parts=1, **more):
        """Taken, and its last part without an answer."""
        message = await self.says(text, to, **more)
        await self.does(times=parts - 1)
        self.target.loses = {text.split()[0]}
        await self.does()
        self.target.loses = set()
        return message

    async def refused(self, text, to=None, **more):
        self.target.fails = {text.split()[0]: PostRefused("MEDIA_INVALID")}
        message = await self.sent(text, to, **more)
        self.target.fails = {}
        return message


async def play(scene):
    store, target = scene.store, scene.target
    plain = await scene.sent("#plain @ann", entities=BOLD)
    first = await scene.sent("TP1 @bob", plain)
    # What stands, and is done with.
    await scene.sent("#photo before", media=PHOTO)
    await scene.sent(long("#longsent"), parts=2)
    # Edits and deletions that are not carried out yet.
    edited = await scene.sent("#edited before", media=PHOTO)
    swapped = await scene.sent("#swapped before", media=PHOTO)
    shrinks = await scene.sent(long("#shrinks"), parts=2)
    grows = await scene.sent("#grows")
    changes = await scene.sent(long("#changes"), parts=2)
    again = await scene.sent(long("#again"), parts=2)
    deleted = await scene.sent("#deleted")
    long_one = await scene.sent(long("#longdel"), parts=2)
    await scene.edits(again, "#again short")
    await scene.does(Method.EDIT, times=2)
    # What Telegram refused: a post, an edit, a deletion, and to take back a part.
    refused = await scene.refused("#refused @ann")
    await scene.refused(long("#refusedlong"))
    for word, change in (("#badedit", "edit"), ("#baddelete", "delete"), ("#badpart", "part")):
        text, parts = (long(word), 2) if change == "part" else (word, 1)
        message = await scene.sent(text, parts=parts)
        target.fails = {word: PostRefused("MESSAGE_INVALID")} if change != "part" else {}
        if change == "delete":
            await store.delete(GROUP, [message.id])
            await scene.does(Method.DELETE)
        else:
            await scene.edits(message, f"{word} edited")
            await scene.does(Method.EDIT)
        if change == "part":
            target.fails = {word: PostRefused("MESSAGE_DELETE_FORBIDDEN")}
            await scene.does(Method.EDIT)
        target.fails = {}
    # Refused media.
    for name, medium in (("#bare", PHOTO), ("#poll", POLL), ("#baredoubt", PHOTO)):
        send, scene.target.send_media = target.send_media, _refuse
        more = {"text": "x" * 1_500 if name == "#bare" else "?"}
        message = await scene.says(f"{name} {more['text']}", media=medium)
        target.loses = {"#baredoubt"}
        await scene.does()
        target.send_media, target.loses = send, set()
        if name != "#poll":
            await scene.edits(message, f"{name} edited", media=medium)
    # Doubts: taken without an answer, and what became of the message since.
    await scene.lost("#doubt @ann")
    await scene.edits(await scene.lost("#doubted @ann", media=PHOTO), "#doubted @ann, edited")
    await scene.edits(await scene.lost(long("#doubtpart"), parts=2), long("#doubtnew"))
    await scene.edits(await scene.lost(long("#doubtless"), parts=2), "#doubtless short")
    doubted = [await scene.lost("#doubtdel @ann"), await scene.lost(long("#deldoubt"), parts=2)]
    await store.delete(GROUP, [each.id for each in doubted])
    target.fails = {"#untaken": RetryLater("no answer")}
    await scene.sent("#untaken @ann")
    target.fails = {}
    # A target that moved: in doubt, refused and pending.
    await scene.says("#moved @ann", targets=[OLD])
    (post,) = await store.take_posts(OLD)
    await target.send_text(OLD, "#moved @\u2060ann", (), reply_to=None, random_id=1)
    await store.post_delayed(post, "no answer", in_doubt=True)
    await scene.says("#movedbad", targets=[OLD])
    (post,) = await store.take_posts(OLD, but=[post.id])
    await store.post_failed(post, "MEDIA_INVALID")
    await scene.says(long("#movednew"), targets=[OLD])
    await store.move_chat(OLD, TARGET)
    scene.left |= {each.id for each in await store.take_posts(TARGET)}
    # Threads.
    gone = await scene.says("TP2", first)
    scene.left |= {post.id for post in await _until(scene, gone)}
    unposted = await scene.says("never posted", first, targets=[])
    await scene.says("quotes what is gone", gone, extras=QUOTE)
    await scene.says("quotes what stands", first, extras=replace(QUOTE, buttons=BUTTONS.buttons))
    await scene.says("below what was never posted", unposted)
    await scene.says("below what was refused", refused)
    # The line.
    aside = await scene.says("#aside @ann", extras=BUTTONS)
    scene.left |= {post.id for post in await _until(scene, aside, send=False)}
    await scene.says(long("#waits @ann"), entities=BOLD, extras=BUTTONS)
    half = await scene.says(long("#half"))
    scene.left |= {post.id for post in await _until(scene, half)}
    album = await scene.says("y" * 1_500, media=PHOTO, album_id=9)
    await scene.says("#second", album, media=OTHER, album_id=9)
    unsent = await scene.says("#unsent before", media=PHOTO)
    await scene.edits(unsent, "#unsent after", media=OTHER)
    # And what is edited last of all.
    await scene.edits(edited, "#edited after @ann")
    await scene.edits(swapped, "#swapped after", media=OTHER)
    await scene.edits(shrinks, "#shrinks to one")
    await scene.edits(grows, long("#grows to two"))
    await scene.edits(changes, long("#changes all"))
    await scene.edits(again, long("#again long"))
    await store.delete(GROUP, [deleted.id, long_one.id])
    del target.shown[TARGET, (await _standing(store, gone))]


async def _refuse(*_what, **_more):
    raise MediumRefused("CHAT_SEND_MEDIA_FORBIDDEN")


async def _until(scene, message, *, send=True):
    """Have just that message posted, or set aside, before what waits in front of it."""
    passed = set()
    while True:
        posts = await scene.store.take_posts(TARGET, Method.SEND, but=scene.left | passed)
        if posts[0].source == message.ref:
            await (scene.relay.deliver(posts) if send else scene.store.set_aside(posts[0]))
            return []
        for post in posts:  # as if it had not been begun
            await scene.store.post_delayed(post, "passed over", in_doubt=False)
            passed.add(post.id)


async def _standing(store, message):
    query = "SELECT target_message_id FROM posts WHERE source_message_id = ? AND part = 0"
    return await store.ask(
        lambda db: db.exec_driver_sql(query, (message.id,)).scalar_one()  # whatever the version
    )


async def go_on(store, target):
    """Until nothing is left to do, and once more with what was refused."""
    for _ in range(2):
        now = [1_000.0]
        relay = Relay(store, target, TARGET, jitter=lambda: 0.0, clock=lambda now=now: now[0])
        while (pause := await relay.post_next()) is not None:
            now[0] += pause.total_seconds()
        await store.retry()


async def main(path):
    logs.configure("CRITICAL", "json")
    target = Target()
    store = SignalStore(Database(path, in_loop=True), clock=lambda: NOON)
    await store.open()
    await play(Scene(store, target))
    await store.close()
    with closing(sqlite3.connect(path)) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (application,) = db.execute("PRAGMA application_id").fetchone()
        db.execute("DELETE FROM meta WHERE name = 'cache_key'")
        db.execute("INSERT INTO meta VALUES ('cache_key', zeroblob(32))")
        columns = "chat, message, text, entities, media, dress, reply_to"
        db.execute(f"CREATE TABLE shown_then ({columns})")
        db.executemany("INSERT INTO shown_then VALUES (?, ?, ?, ?, ?, ?, ?)", target.rows())
        db.execute("CREATE TABLE taken (random_id, message)")
        db.executemany("INSERT INTO taken VALUES (?, ?)", sorted(target.taken.items()))
        dump = list(db.iterdump())
    store = SignalStore(Database(path, in_loop=True), clock=lambda: NOON)
    await store.open()
    await go_on(store, target)
    await store.close()
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"CREATE TABLE shown ({columns})")
        db.executemany("INSERT INTO shown VALUES (?, ?, ?, ?, ?, ?, ?)", target.rows())
        more = [
            line for line in db.iterdump() if "TRANSACTION" not in line and "COMMIT" not in line
        ]
    print(f"-- Made by `python -m tests.carried_over`, with schema {version}; do not change it.")
    print(f"PRAGMA application_id = {application};\nPRAGMA user_version = {version};")
    print("\n".join([*dump[:-1], *more, dump[-1]]))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(Path(directory, "signals.db")))
    sys.exit()
