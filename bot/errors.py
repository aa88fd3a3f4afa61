"""What can go wrong, named after what the caller does next.

BotError                    one line for the operator, no traceback; `exit_code` 1
├── SettingsError           a setting is wrong or missing: mend it and start again; exit 2
├── UsageError              the command line is wrong: call again, corrected; exit 2
├── ExportError             the export cannot be read further: what came before still counts
└── DatabaseError           the table does not answer
    ├── DatabaseUnavailable locked, full, read-only: try again later
    └── DatabaseUnusable    not ours, damaged, or written by a newer version: an operator's task
"""

from __future__ import annotations

from typing import ClassVar


class BotError(Exception):
    """Something the operator can act on. Its text is one line and never holds a secret."""

    exit_code: ClassVar[int] = 1


class SettingsError(BotError):
    exit_code: ClassVar[int] = 2


class UsageError(BotError):
    exit_code: ClassVar[int] = 2


class ExportError(BotError):
    """`offset` is the byte of the file at which reading stopped; None: the file was not opened."""

    def __init__(self, text: str, *, offset: int | None = None) -> None:
        super().__init__(text)
        self.offset = offset


class UnknownFlow(BotError):
    pass


class DatabaseError(BotError):
    pass


class DatabaseUnavailable(DatabaseError):
    pass


class DatabaseUnusable(DatabaseError):
    pass
