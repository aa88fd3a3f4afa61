"""The rule: who may post what. Pure: facts in, a decision out, whatever tier the facts came from.

Every `at` is the message's own date (Telegram server time), never the local clock, so a message
gets the same answer live, caught up after downtime and replayed. The first row that fits decides:

    1   service message, or neither marker nor reply             ignored    not_a_signal
    2   marker, but forwarded                                    ignored    forwarded
    3   marker, author unknown | not permitted                   ignored    unknown_author | not_permitted
    4   marker, not a reply into a known flow                    signal     new_signal
    5   reply to nothing known                                   ignored    unknown_parent
    6   reply into a flow, author unknown                        rejected   unknown_author
    7   … author not permitted                                   rejected   not_permitted
    8   … author is the owner                                    update     owner
    9   … someone else, no longer than the TTL after the
        owner's last activity, or that is missing or later       rejected   not_the_owner
    10  … someone else, past the TTL, FLOW_AFTER_TTL=release,
        or an operator has ended the flow                        update     released
    11  … the same with FLOW_AFTER_TTL=owner                     rejected   not_the_owner
    12  recorded before (the store's unique keys decide this)    duplicate  already_recorded
    13  cannot be parsed, whatever it says                       ignored    unreadable

A signal begins with its message, or with its latest edit where it was not known before: nobody can
tell whether that edit brought the marker, and a flow is never born released.

A reply whose parent is lost, neither recorded nor in Telegram any more, is a reply into the flow of
its thread's first message (see `handlers.lost_parents`). Where the parent exists, row 5 stands.

A reply that carries a marker is an update (8, 10) where it may be one, else it is judged as a
signal of its own (2 to 4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.models import (
    ENDED_BY_HAND,
    AfterTtl,
    AuthorId,
    Decision,
    Outcome,
    Reason,
    UnixTime,
)

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from bot.models import IncomingMessage

NOT_A_SIGNAL = Decision(Outcome.IGNORED, Reason.NOT_A_SIGNAL)
UNKNOWN_PARENT = Decision(Outcome.IGNORED, Reason.UNKNOWN_PARENT)
NEW_SIGNAL = Decision(Outcome.SIGNAL, Reason.NEW_SIGNAL)
ALREADY_RECORDED = Decision(Outcome.DUPLICATE, Reason.ALREADY_RECORDED)

# What becomes of a reply into a flow; which flow, and who knew of it, is added to it.
OWNERS_UPDATE = Decision(Outcome.UPDATE, Reason.OWNER)
RELEASED_UPDATE = Decision(Outcome.UPDATE, Reason.RELEASED)
NOT_THE_OWNERS = Decision(Outcome.REJECTED, Reason.NOT_THE_OWNER)
NOBODYS_REPLY = Decision(Outcome.REJECTED, Reason.UNKNOWN_AUTHOR)


def judge(
    message: IncomingMessage,
    *,
    marked: bool,
    permitted: AbstractSet[AuthorId] | None,
    in_flow: Decision | None,
) -> Decision:
    """Rows 1 to 7, and the last word on all others.

    `permitted` None: everyone whose identity can be told. `in_flow` is what `judge_reply` said
    (rows 6 and 8 to 11); None: the message answers into no known flow.
    """
    if is_chatter(message, marked=marked):
        return NOT_A_SIGNAL
    why_not = why_not_permitted(message.author, permitted)
    if in_flow is not None:
        if why_not is not None:
            in_flow = in_flow._replace(outcome=Outcome.REJECTED, reason=why_not)
        if in_flow.accepted or not marked:
            return in_flow
    elif not marked:
        return UNKNOWN_PARENT
    if message.forwarded:
        why_not = Reason.FORWARDED
    if why_not is None:
        return NEW_SIGNAL
    # The flow it was refused in stays with the decision: that is how an operator finds it.
    return (in_flow or NOT_A_SIGNAL)._replace(outcome=Outcome.IGNORED, reason=why_not)


def is_chatter(message: IncomingMessage, *, marked: bool) -> bool:
    """Row 1, for whoever need not look up a flow then."""
    return message.service or not (marked or message.reply_to is not None)


def judge_reply(
    owner: AuthorId,
    last_owner_activity: UnixTime | None,
    author: AuthorId | None,
    at: UnixTime,
    ttl: int,
    after_ttl: AfterTtl,
) -> Decision:
    """Rows 6 and 8 to 11 for a reply into a known flow, which is not named. `ttl` in seconds.

    Facts come one by one and not as a `Flow`, and what goes out was made before: this runs for
    every reply, and a decision in a warm flow is held to a small multiple of a dictionary look-up.
    """
    if author is None:
        return NOBODYS_REPLY
    if author == owner:
        return OWNERS_UPDATE
    if is_released(last_owner_activity, at, ttl, after_ttl):
        return RELEASED_UPDATE
    return NOT_THE_OWNERS


def is_released(
    last_owner_activity: UnixTime | None, at: UnixTime, ttl: int, after_ttl: AfterTtl
) -> bool:
    """May somebody else continue the flow?

    A flow that an operator has ended is released whatever `after_ttl` says.
    """
    return is_quiet(last_owner_activity, at, ttl) and (
        after_ttl is AfterTtl.RELEASE or last_owner_activity == ENDED_BY_HAND
    )


def is_quiet(last_owner_activity: UnixTime | None, at: UnixTime, ttl: int) -> bool:
    """Is the TTL over? Not while the owner's activity is missing or in the future, and not at the
    very second at which it ends: quiet *for* 72 hours.
    """
    return last_owner_activity is not None and at - last_owner_activity > ttl


def live_since(at: UnixTime, ttl: int) -> UnixTime:
    """Flows whose owner was active then or later are not quiet, for whoever asks a table."""
    return UnixTime(at - ttl)


def why_not_permitted(
    author: AuthorId | None, permitted: AbstractSet[AuthorId] | None
) -> Reason | None:
    """Rows 3, 6 and 7 for whoever wrote, or edited, a message; None: they may."""
    if author is None:
        return Reason.UNKNOWN_AUTHOR
    if permitted is not None and author not in permitted:
        return Reason.NOT_PERMITTED
    return None
