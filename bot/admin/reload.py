"""`python -m bot reload`: the running bot is told to read `routes.toml` again, and what it says of it.

It is told by SIGHUP, and says what became of that in a file in DATA_DIR. The file of routes is looked
at here before: a bot is not troubled with what nobody could take over.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from bot import chat_names, env_text
from bot.errors import BotError, SettingsError
from bot.known_routes import read_routes
from bot.lock import holder
from bot.phrases import joined, phrase, stored
from bot.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bot.config import Settings

LOOK_EVERY: Final = 0.1  # seconds
PATIENCE: Final = 60.0  # seconds; Telegram may have to be asked for new chats
NOT_KNOWN: Final = -(2**61)  # an id that no chat has, for what only Telegram can tell


class ReadAgain(NamedTuple):
    """What became of the last order to a running bot."""

    pid: int
    file: str  # which it reads, in full
    in_force: str = ""  # what stood there when it was taken over
    number: int = 0  # of orders that it has dealt with; 0: none yet
    at: float = 0.0  # unix seconds
    digest: str = ""  # of what stood in the file
    taken: bool = True  # else nothing has changed
    said: tuple[str, ...] = ()  # what has changed, or why nothing has


def file_of(settings: Settings) -> Path:
    """Where a bot writes it."""
    return settings.data_dir / "routes.json"


def keep(path: Path, what: ReadAgain) -> None:
    """All of it or nothing; what cannot be written is in the log."""
    new = path.with_suffix(".new")
    try:
        new.write_text(json.dumps(what._asdict(), ensure_ascii=False), encoding="utf-8")
        new.replace(path)
    except OSError as exc:
        import structlog  # noqa: PLC0415  # only the running bot writes it, and questions read it

        log = structlog.get_logger(__name__)
        log.warning("what became of the order was not written down", error=exc.strerror)


def kept(path: Path) -> ReadAgain | None:
    """None: no bot has written any, or it cannot be read."""
    try:
        found = ReadAgain(**json.loads(path.read_text(encoding="utf-8")))
        return found._replace(said=tuple(stored(str(line)) for line in found.said))
    except (OSError, ValueError, TypeError):
        return None


def of_running(settings: Settings) -> ReadAgain | None:
    """What the bot that runs now has written; None: none runs, or it has not."""
    bot, found = holder(settings.data_dir / "lock"), kept(file_of(settings))
    return found if bot is not None and found is not None and found.pid == bot.pid else None


def text_of(path: Path) -> str:
    """Empty where there is none, or it is wrong in ways that whoever takes it over finds."""
    try:
        return path.read_text(env_text.ENCODING, "replace")
    except OSError:
        return ""


def digest_of(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def in_force(settings: Settings) -> Routes | None:
    """By which the running bot goes, whatever the file says by now; None: none runs by a file."""
    found = of_running(settings)
    if found is None or not found.in_force:
        return None
    from bot.routes_file import Listed  # noqa: PLC0415  # as in `known_routes`
    from bot.sink_keys import Sinks  # noqa: PLC0415

    sinks = Sinks(settings.place_secrets, settings.data_dir)
    return Listed(found.in_force, sinks=sinks).known(chat_names.kept(settings.data_dir))


def no_file(path: Path) -> str:
    """What is said of that."""
    return phrase(
        "there is no {file}, so nothing to read again: .env is read at a start only", file=str(path)
    )


def check_file(settings: Settings) -> None:
    """Raises `SettingsError` with a line for whatever is wrong, as far as that is known offline."""
    listed = read_routes(settings)
    if isinstance(listed, Routes):
        raise SettingsError(no_file(settings.routes))
    made_up = {name: NOT_KNOWN - number for number, name in enumerate(listed.names)}
    listed.known(made_up | chat_names.kept(settings.data_dir))


class Reload:
    """`send` sends a signal to a process, `sleep` takes seconds, `clock` is monotonic."""

    def __init__(
        self,
        settings: Settings,
        *,
        send: Callable[[int, int], None] = os.kill,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._send = send
        self._sleep = sleep
        self._clock = clock

    def order(self) -> list[str]:
        """What has changed. Raises `SettingsError` where the file or the bot says no, and `BotError` where
        there is nobody to tell.
        """
        check_file(self._settings)
        digest, before = digest_of(text_of(self._settings.routes)), self._addressee()
        try:
            self._send(before.pid, signal.SIGHUP)
        except OSError as exc:
            raise BotError(
                phrase(
                    "the bot (pid {pid}) cannot be told: {error}; be the user it runs as",
                    pid=before.pid,
                    error=exc.strerror,
                )
            ) from exc
        after = self._answer(before, digest)
        if not after.taken:
            raise SettingsError(joined("\n", after.said))
        return list(after.said)

    def _addressee(self) -> ReadAgain:
        """Only who writes that file is told: SIGHUP would end an `import`, which has the lock as well."""
        bot, found = holder(self._settings.data_dir / "lock"), of_running(self._settings)
        where = str(self._settings.data_dir)
        if bot is None:
            raise BotError(
                phrase(
                    "no bot runs in {where}: the file is right, and the next start reads it",
                    where=where,
                )
            )
        if found is None:
            raise BotError(
                phrase(
                    "who works in {where} (pid {pid}) is no bot that runs: try again in a moment",
                    where=where,
                    pid=bot.pid or phrase("unknown"),
                )
            )
        ours = str(self._settings.routes.resolve())
        if found.file != ours:
            raise BotError(
                phrase(
                    "the bot (pid {pid}) reads {file}, and not {ours}",
                    pid=found.pid,
                    file=found.file,
                    ours=ours,
                )
            )
        return found

    def _answer(self, before: ReadAgain, digest: str) -> ReadAgain:
        """To this order: one before it may have read what the file said then."""
        end = self._clock() + PATIENCE
        while self._clock() < end:
            found = of_running(self._settings)
            if found is None:
                raise BotError(
                    phrase(
                        "the bot (pid {pid}) has ended meanwhile: its log says why", pid=before.pid
                    )
                )
            if found.number > before.number and found.digest == digest:
                return found
            self._sleep(LOOK_EVERY)
        raise BotError(
            phrase(
                "the bot (pid {pid}) was told, and has said nothing for {seconds} s: "
                "its log says what it waits for",
                pid=before.pid,
                seconds=f"{PATIENCE:.0f}",
            )
        )
