"""A channel on Telegram's side, its update box and what it answers: for tests without a socket."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from types import SimpleNamespace

from pyrogram import raw

from bot.models import ChatId
from bot.telegram.boxes import Boxes
from tests.loopback.tl import make

functions, types = raw.functions, raw.types

ME = ChatId(42)
BARE = 1_234_567
CHANNEL = ChatId(-(10**12) - BARE)
PEER = types.PeerChannel(channel_id=BARE)
NOW = 1_770_000_000
PHOTO = types.MessageMediaPhoto(
    photo=make(types.Photo, id=5, access_hash=6, file_reference=b"7", date=NOW, dc_id=2)
)


def container(*updates, **more):
    return types.Updates(updates=list(updates), users=[], chats=[], date=NOW, **{"seq": 0, **more})


def standing_at(pts, queue, *, behind):
    """The boxes of the account and of one channel."""
    boxes = Boxes(queue, ME, [CHANNEL])
    for box in boxes:
        box.pts, box.behind = pts, behind
    return boxes


@dataclasses.dataclass
class Said:
    """A message on Telegram's side."""

    id: int
    text: str
    deleted: bool = False
    author: int | None = None
    reply_to: int | None = None
    album: int | None = None

    def raw(self):
        if self.deleted:
            return types.MessageEmpty(id=self.id)
        reply = self.reply_to and make(types.MessageReplyHeader, reply_to_msg_id=self.reply_to)
        return make(
            types.Message,
            id=self.id,
            peer_id=PEER,
            from_id=types.PeerUser(user_id=self.author) if self.author else None,
            date=NOW,
            message=self.text,
            reply_to=reply or None,
            media=PHOTO if self.album else None,
            grouped_id=self.album,
        )


class FakeTelegram:
    """One channel and an account's box in which nothing happens; answers fail as scripted."""

    def __init__(self, *, slice_=3, too_long_after=1_000):
        self.messages = []
        self.log = []  # (kind, message) of each pts; the first has number 2
        self.errors = deque()
        self.slice = slice_
        self.too_long_after = too_long_after
        self.asked = []
        self.answers = {
            functions.updates.GetState: self._state,
            functions.updates.GetDifference: self._nothing_new,
            functions.updates.GetChannelDifference: self._difference,
            functions.channels.GetFullChannel: self._full_channel,
            functions.channels.GetMessages: self._read,
        }

    @property
    def pts(self):
        return len(self.log) + 1

    # ── what happens, and how it would be pushed ──

    def say(self, text, **more):
        self.messages.append(Said(len(self.messages) + 1, text, **more))
        return self._happened("new", self.messages[-1])

    def edit(self, message, text):
        message.text = text
        return self._happened("edit", message)

    def delete(self, message):
        message.deleted = True
        return self._happened("delete", message)

    def _happened(self, what, message):
        self.log.append((what, message))
        return self._update(what, message, self.pts)

    def _update(self, what, message, pts):
        if what == "delete":
            return types.UpdateDeleteChannelMessages(
                channel_id=BARE, messages=[message.id], pts=pts, pts_count=1
            )
        wrap = types.UpdateNewChannelMessage if what == "new" else types.UpdateEditChannelMessage
        return wrap(message=message.raw(), pts=pts, pts_count=1)

    # ── what is asked ──

    async def peer(self, chat_id):
        return types.InputPeerChannel(channel_id=-(10**12) - chat_id, access_hash=1)

    async def call(self, query):
        await asyncio.sleep(0)
        self.asked.append(type(query).__name__)
        if self.errors and (error := self.errors.popleft()):
            raise error
        answer = self.answers[type(query)](query)
        await asyncio.sleep(0)  # what happens now is in no answer
        return answer

    def _state(self, _query):
        return types.updates.State(pts=1, qts=0, date=NOW, seq=0, unread_count=0)

    def _nothing_new(self, _query):
        return types.updates.DifferenceEmpty(date=NOW, seq=0)

    def _full_channel(self, _query):
        return SimpleNamespace(full_chat=SimpleNamespace(pts=self.pts))

    def _read(self, query):
        known = {message.id: message for message in self.messages}
        found = [known.get(each.id, Said(each.id, "", deleted=True)) for each in query.id]
        return make(types.messages.Messages, messages=[message.raw() for message in found])

    def _difference(self, query):
        if query.pts >= self.pts:
            return make(types.updates.ChannelDifferenceEmpty, pts=self.pts, final=True)
        if self.pts - query.pts > self.too_long_after:
            return self._too_long()
        missed = self.log[query.pts - 1 :]
        part = missed[: self.slice]
        fresh = [message for what, message in part if what == "new"]
        other = [
            self._update(what, message, query.pts + number + 1)
            for number, (what, message) in enumerate(part)
            if what == "delete" or (what == "edit" and message not in fresh)
        ]
        return make(
            types.updates.ChannelDifference,
            pts=query.pts + len(part),
            new_messages=[message.raw() for message in fresh if not message.deleted],
            other_updates=[each for each in other if not empty(each)],
            final=part == missed or None,
        )

    def _too_long(self):
        alive = [message.id for message in self.messages if not message.deleted]
        dialog = make(types.Dialog, peer=PEER, top_message=max(alive, default=0), pts=self.pts)
        kind = types.updates.ChannelDifferenceTooLong
        return make(kind, dialog=dialog, messages=[], final=True)


def empty(update):
    return isinstance(getattr(update, "message", None), types.MessageEmpty)


class SmallGroup(FakeTelegram):
    """The account's box counts the messages of a basic group. It is too long to tell, always."""

    def __init__(self, error=None):
        super().__init__()
        self.error = error
        self.answers |= {
            functions.updates.GetState: lambda _query: self.state(),
            functions.updates.GetDifference: self._too_far,
            functions.messages.GetMessages: self._read_dated,
        }
        self.dates = {}

    def state(self):
        return types.updates.State(pts=self.pts, qts=0, date=NOW, seq=0, unread_count=0)

    def says(self, text, *, at=NOW):
        self.say(text)
        self.dates[self.messages[-1].id] = at

    def _too_far(self, query):
        if query.pts == self.pts:
            return types.updates.DifferenceEmpty(date=NOW, seq=0)
        if self.error is not None:
            self.error, error = None, self.error
            raise error
        return types.updates.DifferenceTooLong(pts=self.pts)

    def _read_dated(self, query):
        answer = self._read(query)
        for message in answer.messages:
            if not isinstance(message, types.MessageEmpty):
                message.date = self.dates[message.id]
        return answer
