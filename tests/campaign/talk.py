"""A group that talks, spares nothing, and knows what is to be seen of it in the target."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter

from tests.campaign.expected import Expected, Finding, Line, Post
from tests.campaign.rooms import Room, Route, one
from tests.campaign.tables import Tables
from tests.loopback.world import Happening
from tests.stage import Stage


class Talk:
    """Alice signals, continues, edits in storms and deletes whatever she likes; Bob answers.

    `route`: from where to where; from the stage's group to its target, if none is given.
    `moderates`: Carol deletes posts in the places. Every choice comes from `chance`; what depends on
    the moment is what stands in a place when Carol looks.
    """

    def __init__(
        self,
        stage: Stage,
        tables: Tables,
        chance: random.Random,
        *,
        moderates: bool = True,
        route: Route | None = None,
    ) -> None:
        self.stage, self.tables, self.chance = stage, tables, chance
        self.name, self.source, self.places = route or one(stage)[0]
        self.lines: list[Line] = []
        self.owners: list[Line] = []  # what Alice said and nobody has deleted
        self.said = 0
        self.moderated: set[tuple[int, int]] = set()  # ids of chats and of posts in them
        self._messages = {}  # what was sent, by line
        self._acts = {
            self.signal: 14,
            self.album: 6,
            self.update: 34,
            self.stranger: 16,
            self.answer_to_a_stranger: 4,
            self.edit: 12,
            self.storm: 4,
            self.delete: 6,
            **({self.moderate: 4} if moderates else {}),
        }

    async def goes_on(self):
        if not self.owners:
            return await self.signal()
        (chosen,) = self.chance.choices(list(self._acts), list(self._acts.values()))
        return await chosen()

    # ── what is said ──

    async def signal(self):
        return await self._say("#idea")

    async def update(self, parent=None):
        parent = parent or self.chance.choice(self.owners)
        if self.chance.random() < 0.1:
            return await self.album(parent)
        photo = self.stage.telegram.photo() if self.chance.random() < 0.2 else None
        return await self._say("update", parent, photo=photo)

    async def stranger(self):
        return await self._say("and now?", self.chance.choice(self.owners), who=self.stage.bob)

    async def answer_to_a_stranger(self):
        """Which continues nothing."""
        strangers = [line for line in self.lines if not line.by_owner and not line.deleted]
        if strangers:
            await self._say("patience", self.chance.choice(strangers))

    async def _say(self, what, parent=None, *, who=None, photo=None):
        who = who or self.stage.alice
        text, key = self._text(what)
        message = await who.sends(
            self.source.chat,
            text,
            topic=self.source.topic,
            reply_to=parent and self._messages[parent],
            photo=photo,
        )
        line = Line(self._id(message), key, text, parent, photo and photo.id)
        line.by_owner = who is self.stage.alice
        return self._heard(line, message)

    async def album(self, parent=None):
        caption, key = self._text("update" if parent else "#idea in pictures")
        photos = [self.stage.telegram.photo() for _ in range(3)]
        parts = await self.stage.alice.sends_album(
            self.source.chat,
            photos,
            caption=caption,
            topic=self.source.topic,
            reply_to=parent and self._messages[parent],
        )
        lead = None
        for photo, part in zip(photos, parts, strict=True):
            name, text = (f"photo {photo.id}", "") if lead else (key, caption)
            line = Line(self._id(part), name, text, parent or lead, photo.id, parts[0].album)
            self._heard(line, part)
            lead = lead or line
        return lead

    def _text(self, what):
        self.said += 1
        key = f"<{self.name} {self.said}>"
        return f"{what} {key}", key

    def _id(self, message):
        """As the bot knows it: in a basic group every member counts for themselves."""
        return message.id_for(self.stage.bot.account)

    def _heard(self, line, message):
        self.lines.append(line)
        if line.by_owner:
            self.owners.append(line)
        self._messages[line] = message
        return line

    # ── what becomes of it ──

    async def edit(self, line=None):
        line = line or self.chance.choice([line for line in self.owners if line.text])
        self.said += 1
        line.text = f"{line.text.partition(',')[0]}, edited {self.said}"
        await self.stage.alice.edits(self._messages[line], line.text)

    async def storm(self):
        """A few messages, edited over and over."""
        some = self.chance.choices([line for line in self.owners if line.text], k=3)
        for _ in range(self.chance.randint(5, 12)):
            await self.edit(self.chance.choice(some))

    async def delete(self, line=None):
        """Any message, whoever wrote it and whatever hangs below it."""
        living = [line for line in self.lines if not line.deleted]
        line = line or self.chance.choice(living)
        line.seen_in_time = self.tables.knows(self.source.chat.id, line.id)
        line.deleted = True
        if line.by_owner:
            self.owners.remove(line)
        await self.stage.alice.deletes(self._messages[line])
        chat = self.source.chat
        line.deleted_at = (chat if chat.has_own_box else self.stage.bot.account).box.last_date

    async def moderate(self):
        """Somebody else deletes a post of theirs."""
        place = self.chance.choice(self.places)
        if shown := self._ours(self.stage.posted(place.chat), place):
            post = self.chance.choice(shown)
            self.moderated.add((place.chat.id, post.id))
            await self.stage.carol.deletes(post)

    def _ours(self, messages, place):
        """Those of this source, where the place has several, and of the topic."""
        photos = {f"photo {line.photo}" for line in self.lines}
        keys = ((message, key_of(message)) for message in messages if place.has(message))
        return [each for each, key in keys if key.startswith(f"<{self.name} ") or key in photos]

    # ── what the places show of it ──

    def posts(self, place: Room | None = None):
        """All that was ever sent there of it, in the order of the chat's own history."""
        place = place or self.places[0]
        sent, gone = {}, {}
        for moment, event in enumerate(place.chat.box.events):
            for message in event.messages:
                if event.what is Happening.NEW and not message.service:
                    sent[message] = moment, event.date
                elif event.what is Happening.DELETE:
                    gone[message] = moment, event.date
        gone_at = sorted(gone.values())
        return [self._post(each, *sent[each], gone, gone_at) for each in self._ours(sent, place)]

    def _post(self, message, sent, date, gone, gone_at):
        """`gone_at`: when posts were deleted, in their order; the chat's dates rise with it."""
        earlier = gone_at[: bisect_left(gone_at, (sent,))]
        answered = message.reply and message.reply.to
        return Post(
            id=message.id,
            key=key_of(message),
            text=message.text,
            sent=sent,
            date=date,
            reply_to=getattr(answered, "id", answered),
            photo=message.media and message.media.id,
            album=message.album,
            gone=gone[message][0] if message in gone else None,
            moderated=(message.place.id, message.id) in self.moderated,
            late_by=float(date - (earlier[-1][1] if earlier else 0)),
        )

    def expected(self, place: Room | None = None):
        chat = self.source.chat
        return Expected(
            self.lines,
            self.posts(place),
            self.tables.recorded(chat.id),
            refused=self.tables.refused(chat.id),
            tells_gone=self.stage.telegram.world.rules.missing_reply_is_error,
            # https://core.telegram.org/api/threads: no group but a supergroup says what a thread
            # began with, and in a topic that is the topic.
            names_first=chat.has_own_box and self.source.topic is None,
        )

    def findings(self) -> list[Finding]:
        return [found for place in self.places for found in self.expected(place).findings()]

    def verdict(self) -> Counter[str]:
        verdict: Counter[str] = Counter()
        for place in self.places:
            verdict.update(self.expected(place).verdict())
        return verdict


def key_of(message):
    if message.text:
        start = message.text.rindex("<")
        return message.text[start : message.text.index(">", start) + 1]
    return f"photo {message.media.id}" if message.media else "?"
