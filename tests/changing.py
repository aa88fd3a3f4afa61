"""Messages that change all the time, while Telegram takes, loses and refuses their posts."""

from __future__ import annotations

import random

from bot.errors import MediumRefused, PostRefused, RetryLater
from bot.models import Media
from bot.posts import Method
from tests.carried_over import Scene, Target
from tests.people import ALICE, GROUP, TARGET, says

PHOTOS = [None, Media("photo", "photo:1:2:00"), Media("photo", "photo:7:2:00")]
LENGTHS = (3, 900, 1_030, 4_000, 4_200, 9_000)
ROUNDS = 60  # of each seed: a message more, an edit, a deletion, or a post
FAULTS = (RetryLater("no answer"), PostRefused("MESSAGE_INVALID"), MediumRefused("NO_PHOTOS"))


class Afternoon:
    """A few messages that change all the time, while Telegram takes, loses and refuses their posts."""

    def __init__(self, store, seed, place):
        self.chance, self.target = random.Random(seed), Target()
        self.scene = Scene(store, self.target, lambda _: place)
        self.messages, self.words = {}, iter(range(10_000))

    def _text(self):
        return f"#{next(self.words)}@bob " * (1 + self.chance.choice(LENGTHS) // 10)

    async def happens(self):
        what = (self._says, self._edits, self._edits, self._edits, self._deletes)
        for _ in range(ROUNDS):
            await self.chance.choice((*what, *[self._posts] * 5))()

    async def _says(self):
        parents = [None, *list(self.messages.values())[-3:]]
        message = await self.scene.says(
            self._text(), self.chance.choice(parents), media=self.chance.choice(PHOTOS)
        )
        self.messages[message.id] = message

    async def _edits(self):
        """At its end, mostly, as people do; of what is a photo, into another photo."""
        if not self.messages:
            return
        old = self.chance.choice(list(self.messages.values()))
        text = self.chance.choice([old.text + "more", old.text[: len(old.text) // 2], self._text()])
        media = old.media and self.chance.choice(PHOTOS[1:])
        new = says(ALICE, text, number=old.id, to=old.reply_to, media=media)
        self.messages[old.id] = new
        await self.scene.edits(new, text)

    async def _deletes(self):
        leaves = set(self.messages) - {
            m.reply_to.message_id for m in self.messages.values() if m.reply_to
        }
        if leaves and self.chance.random() < 0.3:
            number = self.chance.choice(sorted(leaves))
            del self.messages[number]
            await self.scene.store.delete(GROUP, [number])

    async def _posts(self):
        """One step of one lane; what the source does meanwhile comes before its end is written."""
        store, method = self.scene.store, self.chance.choice(list(Method))
        posts = await store.take_posts(TARGET, method)
        fault, lost = self.chance.choice([*FAULTS, *[None] * 6]), self.chance.random() < 0.1
        if not posts:
            return
        if self.chance.random() < 0.4:
            await self.chance.choice([self._edits, self._deletes])()
        self.target.fails = {"": fault} if fault and not isinstance(fault, MediumRefused) else {}
        self.target.loses = {""} if lost else set()
        if isinstance(fault, MediumRefused):
            self.target.send_media = self._refuse
        try:
            await self.scene.relay.deliver(posts)
        except RetryLater as exc:
            for post in posts:
                await store.post_delayed(post, str(exc), in_doubt=True)
        self.target.fails, self.target.loses = {}, set()
        self.target.__dict__.pop("send_media", None)

    async def _refuse(self, *what, random_id, **more):
        if random_id in self.target.taken:  # it has it, and asks for nothing
            return await Target.send_media(self.target, *what, random_id=random_id, **more)
        raise MediumRefused("NO_PHOTOS")
