"""An hour of a group, posted by whatever version runs this, as Telegram shows it in the end.

    python -m tests.default_route > tests/data/default_route_before_rules.json

It was run by the last version that knew no rules for places. `tests/test_default_route.py` has the
version of today post the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
import tempfile
from pathlib import Path

from bot.extras import Extras, LinkButton, Quote
from bot.models import Entity, Media
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.carried_over import Scene, Target, go_on
from tests.people import NOON

PIECES = (
    *("#идея BTC/USDT ЛОНГ", "🚀🚀", "вход 64000-65000", "@alice", "@Bob_2", "\n", "\n\n", " "),
    *("https://example.org/a?b=1", "t.me/signals/7", "стоп \u202e00026\u202c", "TP1 ✅", "a@b.org"),
    *("$SOL", "/start", "{author}", "\\1", "<b>не тег</b>", "é", "👩‍👩‍👧", "слово " * 400),
)
KINDS = (
    *({"type": each} for each in ("bold", "italic", "spoiler", "blockquote", "code")),
    *({"type": each} for each in ("url", "mention", "hashtag", "cashtag", "bot_command")),
    {"type": "text_link", "url": "https://example.org"},
    {"type": "text_link", "url": "tg://user?id=7"},
    {"type": "text_mention", "user_id": 7},
    {"type": "custom_emoji", "custom_emoji_id": "5"},
    {"type": "pre", "language": "python"},
)
MEDIA = (*[None] * 6, Media("photo", "photo:1:2:00"), Media("voice", "voice:2:2:00"))
EXTRAS = (
    *[None] * 6,
    Extras(silent=True, quote=Quote("TP1 @bob", (), 0)),
    Extras(no_preview=True, buttons=((LinkButton("График", "https://example.org"),),)),
)
MESSAGES = 80


class Hour:
    """Of a few messages that are answered and edited, each as `chance` has it."""

    def __init__(self, scene, chance):
        self.scene, self.chance = scene, chance

    def words(self):
        return "".join(self.chance.choices(PIECES, k=self.chance.randint(1, 14)))

    def entities(self, text):
        length = len(text.encode("utf-16-le")) // 2
        found = []
        for _ in range(self.chance.randint(0, 5)):
            start = self.chance.randrange(length)
            stop = self.chance.randint(start + 1, min(length, start + 40))
            found.append(Entity(offset=start, length=stop - start, **self.chance.choice(KINDS)))
        return tuple(found)

    async def happens(self):
        said = []
        for number in range(MESSAGES):
            text = f"{number} {self.words()}"
            dress = {"media": self.chance.choice(MEDIA), "extras": self.chance.choice(EXTRAS)}
            parent = self.chance.choice([None, *said[-5:]])
            said.append(await self.scene.says(text, parent, entities=self.entities(text), **dress))
            if self.chance.random() < 0.3:
                await go_on(self.scene.store, self.scene.target)
            if self.chance.random() < 0.3:
                text = f"{number} {self.words()}"
                await self.scene.edits(self.chance.choice(said), text, entities=self.entities(text))
        await go_on(self.scene.store, self.scene.target)


async def posted(directory):
    """Each post with its beginning, a digest of all that it shows, and the ids under which all were sent."""
    store, target = SignalStore(Database(directory / "signals.db"), clock=lambda: NOON), Target()
    await store.open()
    await Hour(Scene(store, target), random.Random(7)).happens()
    await store.close()
    shown = [[*row[:2], row[2][:30], _digest(row)] for row in target.rows()]
    return {"shown": shown, "taken": sorted(target.taken)}


def _digest(row):
    said = json.dumps(row, ensure_ascii=True)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


if __name__ == "__main__":
    from bot import logs

    logs.configure("CRITICAL", "json")
    with tempfile.TemporaryDirectory() as home:
        found = asyncio.run(posted(Path(home)))
    json.dump(found, sys.stdout, ensure_ascii=False, indent=0)
    sys.stdout.write("\n")
