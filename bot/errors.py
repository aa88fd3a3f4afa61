"""What can go wrong, named after what the caller does next.

BotError                    one line for the operator, no traceback; `exit_code` 1
├── SettingsError           a setting is wrong or missing: mend it and start again; exit 2
├── UsageError              the command line is wrong: call again, corrected; exit 2
├── AlreadyRunning          another process works in DATA_DIR: stop that one first; exit 3
├── ExportError             the export cannot be read further: what came before still counts
├── NotTranslated           the service gave no words that may be posted: post the original, marked
├── UnknownFlow             a cache named a flow the table does not have: forget, ask again
├── TelegramError           Telegram did not do what was asked
│   ├── RetryLater          nothing is wrong with the request: the same again, after a while
│   │   └── AccountLimited  our account may not, for now: wait for long, tell the operator
│   │   └── Unparsable      it was answered in a schema that the library does not know: ask otherwise
│   ├── TargetUnavailable   the chat takes nothing from us: pause it, tell the operator
│   │   └── TopicUnavailable  its topic does not: pause that, and let the others go on
│   ├── ParentGone          what it was to answer is no longer there: answer its ancestor
│   ├── PostGone            what was to be edited is no longer there: there is nothing to do
│   ├── SentBefore          it was taken before, and not said as which message: look for it
│   ├── PostRefused         this one message will never be taken: mark it failed, go on
│   │   ├── MediumRefused   what it carries will not: send the words without
│   │   └── DressRefused    its buttons, quote, preview or formatting: send the words without
│   └── LoggedOut           the session or token is void: stop, with the queue intact
│       ├── VoidLogin       the login that was kept is; a bot's token makes a new one
│       └── WrongCredentials  a setting that Telegram does not take: mend it; exit 2
└── DatabaseError           the table does not answer
    ├── DatabaseUnavailable locked, full, read-only: try again later
    │   └── Deposed         another host leads: write and send nothing more, end; exit 4
    └── DatabaseUnusable    not ours, damaged, or written by a newer version: an operator's task
        └── DataGone        deleted, moved or replaced under us: end, before more goes nowhere
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from datetime import timedelta

    from bot.models import ChatId


class BotError(Exception):
    """Something the operator can act on. Its text is one line and never holds a secret."""

    exit_code: ClassVar[int] = 1


def words_of(exc: BaseException) -> str:
    """Its text; one that can be said in other languages, a `Phrase`, stays so."""
    one = exc.args[0] if len(exc.args) == 1 else None
    return one if isinstance(one, str) else str(exc)


class SettingsError(BotError):
    exit_code: ClassVar[int] = 2


class UsageError(BotError):
    exit_code: ClassVar[int] = 2


class AlreadyRunning(BotError):
    exit_code: ClassVar[int] = 3


class ExportError(BotError):
    """`offset` is the byte of the file at which reading stopped; None: the file was not opened."""

    def __init__(self, text: str, *, offset: int | None = None) -> None:
        super().__init__(text)
        self.offset = offset


class NotTranslated(BotError):
    pass


class UnknownFlow(BotError):
    pass


class TelegramError(BotError):
    pass


class RetryLater(TelegramError):
    """`after` is Telegram's own wish where it has one; None: it did not answer or failed inside.

    Whether the request was carried out is unknown. Repeated with the same `random_id`, a message
    is posted once in either case.
    """

    def __init__(self, text: str, *, after: timedelta | None = None) -> None:
        super().__init__(text)
        self.after = after


class AccountLimited(RetryLater):
    """The request was refused, so nothing was posted; how long that lasts Telegram does not say."""


class Unparsable(RetryLater):
    """It was carried out, and is answered in the same words again for as long as they hold what
    cannot be read. `answer` is what there is of it.
    """

    def __init__(self, text: str, answer: Any) -> None:
        super().__init__(text)
        self.answer = answer


class TargetUnavailable(TelegramError):
    def __init__(self, text: str, chat_id: ChatId) -> None:
        super().__init__(text)
        self.chat_id = chat_id


class TopicUnavailable(TargetUnavailable):
    def __init__(self, text: str, chat_id: ChatId, topic: int) -> None:
        super().__init__(text, chat_id)
        self.topic = topic


class ParentGone(TelegramError):
    pass


class PostGone(TelegramError):
    pass


class SentBefore(TelegramError):
    pass


class PostRefused(TelegramError):
    pass


class MediumRefused(PostRefused):
    pass


class DressRefused(PostRefused):
    """`part`: "buttons", "quote", "preview" or "formatting"; None: Telegram does not say which."""

    def __init__(self, text: str, *, part: str | None = None) -> None:
        super().__init__(text)
        self.part = part


class LoggedOut(TelegramError):
    pass


class VoidLogin(LoggedOut):
    pass


class WrongCredentials(LoggedOut):
    exit_code: ClassVar[int] = 2


class DatabaseError(BotError):
    pass


class DatabaseUnavailable(DatabaseError):
    pass


class Deposed(DatabaseUnavailable):
    exit_code: ClassVar[int] = 4


class DatabaseUnusable(DatabaseError):
    pass


class DataGone(DatabaseUnusable):
    pass
