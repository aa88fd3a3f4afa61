"""`setup`: what is to be done, the questions, and what is written. Nothing is before the last answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.config import Settings, language_of, set_outside
from bot.connecting import network_of
from bot.phrases import LANGUAGES, later, phrase, translator
from bot.setup import adding, env_file
from bot.setup.dialogue import Dialogue, loaded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from pathlib import Path

    from bot.setup.dialogue import Answers
    from bot.setup.terminal import Terminal


async def setup(
    terminal: Terminal,
    path: Path,
    *,
    program: str,
    hide: Callable[[Iterable[str]], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> bool:
    """Whether `path` says what was answered. Raises `SettingsError` where it cannot, and `EOFError`.

    `program` is what starts the bot; `hide` is told of secrets that no log may show from then on.
    """
    terminal.speaks(translator(language_of(path)))
    env_file.refuse_unwritable(path)
    if (files := adding.configured(path)) is not None:
        done = await _add(terminal, files, hide, sleep)
        if done is not None:
            return done
    # What is not asked for must be right already: a bot with a wrong setting does not start.
    settings = Settings.load(loaded({}))
    text = env_file.read(path)
    old = env_file.values(text)
    dialogue = Dialogue(terminal, path, old, hide=hide, sleep=sleep, network=network_of(settings))
    answers = await dialogue.hold(chats=files is None or not files.text)
    changes = {name: value for name, value in answers.items() if value != old.get(name)}
    if settings.language != LANGUAGES[0] and "LANGUAGE" not in old:
        changes["LANGUAGE"] = (
            settings.language
        )  # a service has another locale than whoever sets it up
    if not changes:
        text = later("{path} says all of this already. Start the bot with `{program}`.")
        terminal.say(phrase(text, path=str(path), program=program), "green")
    elif await dialogue.confirm(changes):
        env_file.write(path, env_file.changed(text, changes))
        text = phrase(
            "wrote {path}. Start the bot with `{program}`.", path=str(path), program=program
        )
        terminal.say(text, "green")
    else:
        return False
    _remark(terminal, path, settings, old, answers)
    return True


def _remark(
    terminal: Terminal, path: Path, settings: Settings, old: Mapping[str, str], answers: Answers
) -> None:
    """What may be in the way of what was written."""
    for session in settings.sessions if _bot_of(answers) != _bot_of(old) else ():
        text = phrase(
            "{file} is a login from before: remove it if it is not this bot's.", file=str(session)
        )
        terminal.say(text, "yellow")
    for name in set_outside(answers):
        text = phrase(
            "{name} is set in the environment, too, which goes before {path}.",
            name=name,
            path=str(path),
        )
        terminal.say(text, "yellow")


async def _add(
    terminal: Terminal,
    files: adding.Files,
    hide: Callable[[Iterable[str]], None],
    sleep: Callable[[float], Awaitable[None]],
) -> bool | None:
    """None: that is not what is wanted. Otherwise as `setup`."""
    network = network_of(files.settings)
    dialogue = Dialogue(terminal, files.env, {}, hide=hide, sleep=sleep, network=network)
    if files.text and files.both:
        return await adding.finish_the_move(files, dialogue, terminal)
    work = await adding.work_of(terminal)
    if work is adding.Work.SETTINGS:
        return None
    return await adding.Adding(files, dialogue, terminal).add(work)


def _bot_of(settings: Mapping[str, str | None]) -> str:
    """The id that a token begins with."""
    return (settings.get("BOT_TOKEN") or "").partition(":")[0]
