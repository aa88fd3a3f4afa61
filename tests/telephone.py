"""An operator's telephone, on the stage."""

from __future__ import annotations


class Telephone:
    """A private chat with the bot, as one person sees it."""

    def __init__(self, stage, person):
        self.stage = stage
        self.person = person

    @property
    def shown(self):
        """What the bot said, the latest last."""
        said = self.stage.telegram.messages(self.person, self.stage.bot)
        return [seen for seen in said if seen.sender == self.stage.bot.id]

    async def says(self, text, **how):
        """The bot's answer."""
        before = len(self.shown)
        await self.person.sends(self.stage.bot, text, **how)
        return await self.answer(before)

    async def forwards(self, message):
        before = len(self.shown)
        await self.person.forwards(message, to=self.stage.bot)
        return await self.answer(before)

    async def answer(self, before):
        await self.stage.telegram.wait_for(
            lambda: len(self.shown) > before, timeout=10, what="an answer"
        )
        return self.shown[-1]

    async def presses(self, message, button):
        """What pops up."""
        return await self.person.presses(message, button)

    async def presses_and_is_asked(self, message, button):
        before = len(self.shown)
        await self.presses(message, button)
        return await self.answer(before)

    async def becomes(self, message, start):
        def changed():
            return next(seen for seen in self.shown if seen.id == message.id)

        await self.stage.telegram.wait_for(
            lambda: changed().text.startswith(start), timeout=10, what=f"{start!r}"
        )
        return changed()


def relay(stage, **env):
    return stage.relay(ADMIN_USERS=str(stage.carol.id), **env)


def words(seen):
    return " ".join(seen.text.split())
