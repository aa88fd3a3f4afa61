"""Playing people: what a test lets users do in the chats the bot is in.

    alice = telegram.user("Alice")
    signal = await alice.sends(group, "#idea BTC/USDT LONG")
    await alice.edits(signal, "#idea BTC/USDT SHORT")

Every act is complete, and pushed, when the call returns.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyrogram import raw

from tests.loopback.media import Media
from tests.loopback.rpc import Desk, Question
from tests.loopback.rpc_messages import forward_of
from tests.loopback.snapshots import Entity, Seen
from tests.loopback.tl import find, make
from tests.loopback.views import View
from tests.loopback.world import (
    Account,
    Chat,
    Kind,
    Member,
    Message,
    Place,
    Quote,
    Reply,
    Role,
    Service,
    Topic,
)

Entities = Iterable[Any]  # plain `Entity` values, or raw message entities
Buttons = Iterable[Iterable[tuple[str, str | bytes]]]  # rows: text, and an address or data
Sent = Message | Seen  # a message as an act returned it, or as `telegram.messages` lists it


@dataclass(frozen=True)
class Pressed:
    """The bot's answer to a pressed button."""

    text: str | None
    alert: bool


class Person:
    """A user or a bot of this Telegram. `account` is the person's entry in the world."""

    def __init__(self, desk: Desk, account: Account) -> None:
        self._desk = desk
        self.account = account

    def __repr__(self) -> str:
        return f"<{self.account.name}, {self.id}>"

    @property
    def id(self) -> int:
        return self.account.id

    @property
    def username(self) -> str | None:
        return self.account.username

    @property
    def token(self) -> str | None:
        return self.account.token

    # ── writing ──

    async def sends(
        self,
        to: "Chat | Person",
        text: str = "",
        *,
        entities: Entities = (),
        reply_to: Sent | int | None = None,
        reply_elsewhere: Chat | None = None,
        photo: Media | None = None,
        document: Media | None = None,
        media: Media | None = None,
        as_channel: Chat | None = None,
        anonymous: bool = False,
        topic: Topic | None = None,
        signature: str | None = None,
        silent: bool = False,
        via_bot: "Person | None" = None,
        scheduled: bool = False,
        inverted: bool = False,
        quote: str | None = None,
        buttons: Buttons = (),
    ) -> Message:
        """A message; with a photo, document or another of the `media` `text` is its caption.

        `as_channel`: sent as that channel. `anonymous`: an admin who writes as the group.
        In a channel it is always the channel that speaks. `reply_elsewhere`: the chat that
        `reply_to` is in, where it is not this one. `via_bot`: an inline bot wrote it.
        `scheduled`: it was written before. `quote`: the words of it that are meant.
        `inverted`: the words stand above the medium.
        """
        place = self._place(to)
        message = self._draft(place, text, entities, photo or document or media)
        if as_channel is not None:
            message.sender = as_channel
        elif anonymous and isinstance(place, Chat):
            message.sender = place
        if reply_to is not None:
            quoted = Quote(quote) if quote else None
            message.reply = Reply(_answered(reply_to), reply_elsewhere, quoted)
        message.topic = topic.id if topic else self._topic_of(reply_to)
        message.signature = signature
        message.silent = silent
        message.via_bot = None if via_bot is None else via_bot.account
        message.scheduled = scheduled
        message.inverted = inverted
        message.keyboard = _keyboard(buttons)
        return self._desk.world.post(message)[0]

    async def sends_album(
        self,
        to: "Chat | Person",
        media: Iterable[Media],
        *,
        caption: str = "",
        entities: Entities = (),
        reply_to: Sent | None = None,
        anonymous: bool = False,
        topic: Topic | None = None,
    ) -> list[Message]:
        """Photos or documents that belong together; the caption is the first one's."""
        place = self._place(to)
        album = self._desk.world.number()
        drafts = []
        for medium in media:
            first = not drafts
            draft = self._draft(place, caption if first else "", entities if first else (), medium)
            draft.album = album
            draft.reply = Reply(_answered(reply_to)) if reply_to else None
            draft.topic = topic.id if topic else self._topic_of(reply_to)
            if anonymous and isinstance(place, Chat):
                draft.sender = place
            drafts.append(draft)
        return self._desk.world.post(*drafts)

    async def forwards(self, *messages: Sent, to: "Chat | Person") -> list[Message]:
        place = self._place(to)
        drafts = []
        for message in map(_message, messages):
            draft = self._draft(place, message.text, message.entities, message.media)
            draft.forward = forward_of(message)
            drafts.append(draft)
        return self._desk.world.post(*drafts)

    async def edits(
        self,
        message: Sent,
        text: str | None = None,
        *,
        entities: Entities = (),
        photo: Media | None = None,
        media: Media | None = None,
        **changes: Any,
    ) -> None:
        """`changes`: of other fields, as the world has them."""
        if text is not None:
            changes |= {"text": text, "entities": _raw(entities)}
        if photo or media:
            changes["media"] = photo or media
        self._desk.world.edit(_message(message), **changes)

    async def deletes(self, *messages: Sent) -> None:
        """Messages of one chat, for everybody."""
        self._desk.world.delete(map(_message, messages))

    # ── what leaves a service message ──

    async def adds(self, *people: "Person", to: Chat) -> Message:
        """Bring people into a chat, who see it from then on."""
        for person in people:
            to.members[person.account] = Member(Role.MEMBER)
        self._tell_membership(to, people)
        return self._service(to, "ChatAddUser", accounts=tuple(p.account for p in people))

    async def removes(self, person: "Person", chat: Chat) -> Message:
        note = self._service(chat, "ChatDeleteUser", accounts=(person.account,))
        chat.members[person.account] = Member(Role.KICKED)
        self._tell_membership(chat, [person])
        return note

    def bans(self, *people: "Person", chat: Chat) -> None:
        """As an administrator of a supergroup or channel does: no message tells of it."""
        for person in people:
            chat.members[person.account] = Member(Role.KICKED)
        self._tell_membership(chat, people)

    def returns(self, *people: "Person", to: Chat, role: Role = Role.ADMIN) -> None:
        """Lift the ban and bring them in again, as an administrator if nothing else is said."""
        for person in people:
            to.members[person.account] = Member(role)
        self._tell_membership(to, people)

    def destroys(self, chat: Chat) -> None:
        """Delete the chat for everybody."""
        people = [Person(self._desk, account) for account in chat.readers()]
        chat.deleted, chat.username = True, None
        for person in people:
            chat.members[person.account] = Member(Role.LEFT)
        self._tell_membership(chat, people)

    def makes_private(self, chat: Chat) -> None:
        """Take its public name away: who is no member cannot see it from then on."""
        chat.username = None

    async def pins(self, message: Sent) -> Message:
        message = _message(message)
        message.pinned = True
        return self._service(message.place, "PinMessage", reply=Reply(message))

    async def opens_topic(self, forum: Chat, title: str) -> Topic:
        note = self._service(forum, "TopicCreate", title=title)
        topic = Topic(note.id, title, self.account, note.date)
        forum.topics[topic.id] = topic
        return topic

    async def deletes_topic(self, forum: Chat, topic: Topic) -> None:
        """With all that stands in it."""
        del forum.topics[topic.id]
        there = [each for each in forum.messages.values() if topic.id in {each.id, each.topic}]
        await self.deletes(*there)

    async def upgrades(self, group: Chat, new_bare_id: int | None = None) -> Chat:
        """Turn a basic group into a supergroup. https://core.telegram.org/api/channel."""
        world = self._desk.world
        bare_id = new_bare_id or max((c.bare_id for c in world.chats.values()), default=0) + 1
        chat = Chat(Kind.SUPERGROUP, bare_id, group.title, world.now, migrated_from=group)
        chat.members = dict(group.members)
        world.chats[chat.id] = chat
        group.migrated_to = chat
        self._service(group, "ChatMigrateTo", chat=chat)
        self._service(chat, "ChannelMigrateFrom", chat=group, title=group.title)
        return chat

    # ── talking to a bot ──

    async def presses(
        self,
        message: Sent,
        button: str,
        *,
        timeout: float = 10,  # noqa: ASYNC109 - a bot that does not answer must not hang it
    ) -> Pressed:
        """Press an inline button by its text, and wait (seconds) for the bot's answer."""
        message = _message(message)
        bot = message.author
        data = _button_data(message, button)
        if bot is None or data is None:
            raise ValueError(f"no bot answers to {button!r} under {message.text!r}")
        query_id = self._desk.world.number()
        question = Question(asyncio.get_running_loop().create_future())
        self._desk.questions[query_id] = question
        self._push_press(bot, message, query_id, data)
        answer = await asyncio.wait_for(question.answer, timeout)
        return Pressed(answer.message, bool(answer.alert))

    def _push_press(self, bot: Account, message: Message, query_id: int, data: bytes) -> None:
        view = View(self._desk.world, bot)
        view.peer(self.account)
        update = raw.types.UpdateBotCallbackQuery(
            query_id=query_id,
            user_id=self.id,
            peer=view.place(message.place),
            msg_id=message.id_for(bot),
            chat_instance=1,
            data=data,
        )
        self._desk.push_to(bot, view, update)

    def blocks(self, person: "Person") -> None:
        self.account.blocked.add(person.account)

    # ── ──

    def _place(self, to: "Chat | Person") -> Place:
        if isinstance(to, Chat):
            return to
        return self._desk.world.dialogue(self.account, to.account)

    def _draft(self, place: Place, text: str, entities: Entities, media: Media | None) -> Message:
        in_channel = isinstance(place, Chat) and place.kind is Kind.CHANNEL
        return Message(
            place,
            self.account,
            place if in_channel else self.account,
            self._desk.world.now,
            text=text,
            entities=_raw(entities),
            media=media,
        )

    @staticmethod
    def _topic_of(answered: Sent | int | None) -> int | None:
        return None if answered is None or isinstance(answered, int) else answered.topic

    def _service(
        self, place: Place, name: str, *, reply: Reply | None = None, **about: Any
    ) -> Message:
        note = self._draft(place, "", (), None)
        note.service = Service(name, **about)
        note.reply = reply
        return self._desk.world.post(note)[0]

    def _tell_membership(self, chat: Chat, people: Iterable["Person"]) -> None:
        for person in people:
            view = View(self._desk.world, person.account)
            view.peer(chat)
            if chat.has_own_box:
                update = raw.types.UpdateChannel(channel_id=chat.bare_id)
            else:
                update = _participants(chat, inside=chat.role(person.account).inside)
            self._desk.push_to(person.account, view, update)


def _participants(chat: Chat, *, inside: bool) -> Any:
    """https://core.telegram.org/constructor/chatParticipantsForbidden: what an outsider is told."""
    if not inside:
        told = make(raw.types.ChatParticipantsForbidden, chat_id=chat.bare_id)
    else:
        members = [
            make(raw.types.ChatParticipant, user_id=account.id, date=chat.date)
            for account in chat.readers()
        ]
        told = make(
            raw.types.ChatParticipants, chat_id=chat.bare_id, participants=members, version=1
        )
    return raw.types.UpdateChatParticipants(participants=told)


def _message(sent: Sent) -> Message:
    found = sent.message if isinstance(sent, Seen) else sent
    assert found is not None
    return found


def _answered(sent: Sent | int) -> Message | int:
    return sent if isinstance(sent, int) else _message(sent)


def _raw(entities: Entities) -> tuple[Any, ...]:
    return tuple(e.raw() if isinstance(e, Entity) else e for e in entities)


def _button_data(message: Message, text: str) -> bytes | None:
    rows = getattr(message.keyboard, "rows", None) or []
    buttons = [button for row in rows for button in row.buttons]
    named = next((button for button in buttons if button.text == text), None)
    # Newer layers keep a button's data in its `type`.
    return getattr(getattr(named, "type", named), "data", None)


def _keyboard(buttons: Buttons) -> Any:
    rows = [[_button(*button) for button in row] for row in buttons]
    of_row = find("types.KeyboardInlineButtonRow") or raw.types.KeyboardButtonRow
    return raw.types.ReplyInlineMarkup(rows=[of_row(buttons=row) for row in rows]) if rows else None


def _button(text: str, what: str | bytes) -> Any:
    """One that leads to an address, or one that only its bot knows the meaning of."""
    kind, field = ("Url", "url") if isinstance(what, str) else ("Callback", "data")
    newer = find(f"types.InlineButtonType{kind}")
    if newer is None:
        return getattr(raw.types, f"KeyboardButton{kind}")(text=text, **{field: what})
    return raw.types.KeyboardInlineButton(text=text, type=newer(**{field: what}))
