"""What could not be dealt with, kept by its id until it was: rows of `decisions` with an error.

A message stands there beside its row in `signals` or `signal_updates`, if it was an edit or the
deletion of a recorded one that failed. To be tried again it is read from Telegram as it is then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import and_, delete, func, select, update

from bot.models import (
    AuthorId,
    ChatId,
    MessageId,
    MessageRef,
    OrderKind,
    Outcome,
    Reason,
    UnixTime,
)
from bot.phrases import stored
from bot.storage.engine import insert
from bot.storage.schema import alerts, decisions, orders

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection

    from bot.models import Failure

NO_CHAT: Final = 0
# By its error, too, which is what there is an index of.
HAS_FAILED: Final = and_(decisions.c.reason == Reason.FAILED, decisions.c.error.is_not(None))


class FailureRecord(NamedTuple):
    id: int
    ref: MessageRef
    author: AuthorId | None
    at: UnixTime
    recorded_at: UnixTime  # when it failed last
    error: str
    again: int | None  # the order to read it again; None: there is none
    answers: MessageRef | None  # None: nothing, or that is not known


def record(db: Connection, failures: Iterable[Failure], *, now: int) -> None:
    """Over what may be recorded of an earlier failure, or as what it was refused."""
    for failure in failures:
        row = {
            "source_chat_id": failure.ref.chat_id,
            "source_message_id": failure.ref.message_id,
            "source_user_id": failure.author,
            "reply_to_message_id": failure.answers and failure.answers.message_id,
            "outcome": Outcome.IGNORED,
            "reason": Reason.FAILED,
            "at": failure.at,
            "recorded_at": now,
            "error": failure.error,
            "again": None,
            "signal_id": None,
            "tier": None,
        }
        known = [decisions.c.source_chat_id, decisions.c.source_message_id]
        query = insert(db, decisions).values(row)
        db.execute(query.on_conflict_do_update(index_elements=known, set_=row))


def settle(db: Connection, refs: Iterable[MessageRef]) -> None:
    """They were dealt with after all."""
    for ref in refs:
        db.execute(delete(decisions).where(_is(ref), HAS_FAILED))


def failure(db: Connection, ref: MessageRef) -> FailureRecord | None:
    return next(iter(_found(db, and_(_is(ref), HAS_FAILED))), None)


def failure_by_id(db: Connection, number: int) -> FailureRecord | None:
    return next(iter(_found(db, and_(decisions.c.id == number, HAS_FAILED))), None)


def newest(db: Connection, *, at_most: int) -> list[FailureRecord]:
    return _found(db, HAS_FAILED, at_most)


def count(db: Connection, *, chats: Collection[ChatId] | None = None) -> int:
    """`chats` None: in all."""
    which = HAS_FAILED if chats is None else and_(HAS_FAILED, _is_in(chats))
    return int(db.scalar(select(func.count()).select_from(decisions).where(which)) or 0)


def wanted(db: Connection) -> list[FailureRecord]:
    """Those that an operator wants read again, the oldest message first."""
    return sorted(
        _found(db, and_(HAS_FAILED, decisions.c.again.is_not(None))), key=lambda each: each.ref
    )


def want(
    db: Connection, number: int | None, *, now: int, chats: Collection[ChatId] | None = None
) -> list[MessageRef]:
    """Have one read again with those that answer it, or all that failed; tells which. `chats`: see `count`."""
    found = _found(db, HAS_FAILED if chats is None else and_(HAS_FAILED, _is_in(chats)))
    if number is not None:
        found = _with_answers(found, number)
    for each in found:
        order = {"kind": OrderKind.REREAD, "subject": each.id, "at": now}
        (number,) = db.execute(insert(db, orders).values(order)).inserted_primary_key or (0,)
        db.execute(update(decisions).where(decisions.c.id == each.id).values(again=number))
    return sorted(each.ref for each in found)


def _with_answers(found: Iterable[FailureRecord], number: int) -> list[FailureRecord]:
    """In source order a message stands behind what it answers."""
    wanted: dict[MessageRef, FailureRecord] = {}
    for each in sorted(found, key=lambda each: each.ref):
        if each.id == number or each.answers in wanted:
            wanted[each.ref] = each
    return list(wanted.values())


def _is(ref: MessageRef) -> ColumnElement[bool]:
    return and_(
        decisions.c.source_chat_id == ref.chat_id,
        decisions.c.source_message_id == ref.message_id,
    )


def _is_in(chats: Collection[ChatId]) -> ColumnElement[bool]:
    return decisions.c.source_chat_id.in_(chats)


def _found(
    db: Connection, which: ColumnElement[bool], at_most: int | None = None
) -> list[FailureRecord]:
    columns = (
        *(decisions.c.id, decisions.c.source_chat_id, decisions.c.source_message_id),
        *(decisions.c.source_user_id, decisions.c.at, decisions.c.recorded_at),
        *(decisions.c.error, decisions.c.again, decisions.c.reply_to_message_id),
    )
    latest = (decisions.c.recorded_at.desc(), decisions.c.id.desc())
    query = select(*columns).where(which).order_by(*latest).limit(at_most)
    return [
        FailureRecord(
            number,
            MessageRef(ChatId(chat), MessageId(message)),
            author,
            at,
            recorded_at,
            stored(error or ""),
            again,
            None if answers is None else MessageRef(ChatId(chat), MessageId(answers)),
        )
        for number, chat, message, author, at, recorded_at, error, again, answers in db.execute(
            query
        )
    ]


# ── what the operators were told (see `alerts.Told`) ──────────────────────────


def told(db: Connection) -> dict[tuple[str, ChatId | None], float]:
    found: Sequence[tuple[str, int, int]] = [tuple(row) for row in db.execute(select(alerts))]
    return {(kind, ChatId(about) if about else None): at for kind, about, at in found}


def tell_of(db: Connection, *, kind: str, about: ChatId | None, at: int) -> None:
    row = {"kind": kind, "about": about or NO_CHAT, "told_at": at}
    query = insert(db, alerts).values(row)
    known = [alerts.c.kind, alerts.c.about]
    db.execute(query.on_conflict_do_update(index_elements=known, set_={"told_at": at}))
