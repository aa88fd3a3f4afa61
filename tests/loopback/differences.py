"""What a client that was away is told.

https://core.telegram.org/api/updates#recovering-gaps. A difference shows the final
state: a message that was edited meanwhile comes once, as it is now, and one that was
deleted meanwhile is not among the new messages; its deletion is among the other updates.
"""

from dataclasses import dataclass, field
from typing import Any

from pyrogram import raw

from tests.loopback.tl import make
from tests.loopback.views import View
from tests.loopback.world import Account, Chat, Event, Happening, Message, Owner, World

types = raw.types


@dataclass
class Summary:
    """Events boiled down to final states."""

    new: list[Message] = field(default_factory=list)
    edits: dict[Message, Event] = field(default_factory=dict)  # the latest one of each message
    deletions: list[Event] = field(default_factory=list)  # and what is of an unknown kind

    @classmethod
    def of(cls, events: list[Event]) -> "Summary":
        summary = cls()
        for event in events:
            summary._add(event)
        return summary

    def _add(self, event: Event) -> None:
        if event.what in {Happening.DELETE, Happening.UNKNOWN}:
            self.deletions.append(event)
            return
        message = event.messages[0]
        if message.deleted:
            return
        if event.what is Happening.NEW:
            self.new.append(message)
        elif message not in self.new:
            self.edits[message] = event

    def other_updates(self, view: View, owner: Owner) -> list[Any]:
        events = [*self.edits.values(), *self.deletions]
        return [view.update(owner, event) for event in sorted(events, key=lambda e: e.pts)]


def state(world: World, account: Account, pts: int | None = None) -> Any:
    return types.updates.State(
        pts=account.box.pts if pts is None else pts,
        qts=account.qts,
        date=world.now,
        seq=0,
        unread_count=0,
    )


# ── the common box ──


def common(world: World, account: Account, *, pts: int, date: int) -> Any:
    """updates.getDifference."""
    if account.box.pts - pts > world.rules.common_too_long_after:
        return types.updates.DifferenceTooLong(pts=account.box.pts)
    missed = account.box.since(pts)
    part = missed[: world.rules.common_slice]
    news = _channels_with_news(world, account, date)
    if not part and not news:
        return types.updates.DifferenceEmpty(date=world.now, seq=0)
    return _common(world, account, part, news, complete=part == missed)


def _common(
    world: World, account: Account, part: list[Event], news: list[Chat], *, complete: bool
) -> Any:
    view = View(world, account)
    summary = Summary.of(part)
    messages = [view.message(m) for m in summary.new]
    others = summary.other_updates(view, account)
    if complete:
        others += [_has_news(view, chat) for chat in news]
    fields = {
        "new_messages": messages,
        "new_encrypted_messages": [],
        "other_updates": others,
        "chats": view.chats(),
        "users": view.users(),
    }
    if complete:
        return types.updates.Difference(**fields, state=state(world, account))
    so_far = state(world, account, part[-1].pts)
    return types.updates.DifferenceSlice(**fields, intermediate_state=so_far)


def _channels_with_news(world: World, account: Account, date: int) -> list[Chat]:
    if not world.rules.difference_names_channels:
        return []
    chats = [c for c in world.chats.values() if c.has_own_box and c.role(account).inside]
    return [chat for chat in chats if chat.box.last_date >= date]


def _has_news(view: View, chat: Chat) -> Any:
    view.peer(chat)
    return types.UpdateChannelTooLong(channel_id=chat.bare_id, pts=chat.box.pts)


# ── a channel's box ──


def of_channel(
    world: World, account: Account, chat: Chat, *, pts: int, limit: int, ids: list[range] | None
) -> Any:
    """updates.getChannelDifference; `ids` narrows the new messages as the call's filter does."""
    if chat.box.pts <= pts:
        return make(types.updates.ChannelDifferenceEmpty, pts=chat.box.pts, final=True)
    if chat.box.pts - pts > world.rules.channel_too_long_after:
        return _channel_too_long(world, account, chat)
    missed = chat.box.since(pts)
    part = missed[: min(limit, world.rules.channel_slice)]
    summary = Summary.of(part)
    view = View(world, account)
    view.peer(chat)
    messages = [view.message(m) for m in summary.new if _wanted(m, ids)]
    others = summary.other_updates(view, chat)
    return make(
        types.updates.ChannelDifference,
        pts=part[-1].pts,
        new_messages=messages,
        other_updates=others,
        chats=view.chats(),
        users=view.users(),
        final=part == missed or None,
    )


def _wanted(message: Message, ids: list[range] | None) -> bool:
    return ids is None or any(message.id in few for few in ids)


def _channel_too_long(world: World, account: Account, chat: Chat) -> Any:
    view = View(world, account)
    alive = [m for m in chat.messages.values() if not m.deleted]
    latest = alive[-world.rules.too_long_holds :]
    dialog = make(
        types.Dialog,
        peer=view.peer(chat),
        top_message=alive[-1].id if alive else 0,
        notify_settings=make(types.PeerNotifySettings),
        pts=chat.box.pts,
    )
    messages = [view.message(m) for m in reversed(latest)]
    return make(
        types.updates.ChannelDifferenceTooLong,
        dialog=dialog,
        messages=messages,
        chats=view.chats(),
        users=view.users(),
        final=True,
    )
