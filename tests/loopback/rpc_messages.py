"""Sending, editing, deleting, forwarding, reading messages."""

from dataclasses import dataclass
from typing import Any

from pyrogram import raw

from tests.loopback import given, peers, refusals
from tests.loopback.calls import Call, RpcFailure
from tests.loopback.media import Document, Media, Photo, Preview
from tests.loopback.rpc import Desk, handles
from tests.loopback.tl import make, objects
from tests.loopback.views import View
from tests.loopback.world import (
    Account,
    Box,
    Chat,
    Dialogue,
    Event,
    Forward,
    Happening,
    Kind,
    Message,
    Owner,
    Place,
    Reply,
    Service,
)

types = raw.types

ALBUM_MAX = 10


@dataclass
class Part:
    """One message that a client wants to have sent."""

    random_id: int
    text: str
    entities: tuple[Any, ...]
    media: Media | None = None
    no_webpage: bool = False


# ── sending ──


@handles("messages.SendMessage")
def send_message(desk: Desk, call: Call) -> Any:
    query = call.query
    place = _writable(desk, call, query.peer)
    given.check_text(query.message, query.entities, given.TEXT_MAX)
    if not query.message:
        raise RpcFailure(400, "MESSAGE_EMPTY")
    given.check_buttons(query.reply_markup)
    part = Part(
        query.random_id,
        query.message,
        given.entities(query.entities),
        no_webpage=bool(query.no_webpage),
    )
    sent = _send(desk, call, place, [part])
    if isinstance(place, Dialogue):
        return _short_answer(call.account, sent[0])
    return _sent(desk, call, sent)


@handles("messages.SendMedia")
def send_media(desk: Desk, call: Call) -> Any:
    query = call.query
    place = _writable(desk, call, query.peer)
    medium = given.medium(desk, query.media)
    refusals.check_may_carry(desk.world, place, medium)
    longest = given.TEXT_MAX if isinstance(medium, Preview) else given.CAPTION_MAX
    given.check_text(query.message, query.entities, longest)
    given.check_buttons(query.reply_markup)
    part = Part(query.random_id, query.message, given.entities(query.entities), medium)
    return _sent(desk, call, _send(desk, call, place, [part]))


@handles("messages.SendMultiMedia")
def send_multi_media(desk: Desk, call: Call) -> Any:
    query = call.query
    place = _writable(desk, call, query.peer)
    if not 1 <= len(query.multi_media) <= ALBUM_MAX:
        raise RpcFailure(400, "MULTI_MEDIA_TOO_LONG")
    parts = []
    for single in query.multi_media:
        given.check_text(single.message, single.entities, given.CAPTION_MAX)
        medium = given.medium(desk, single.media)
        refusals.check_may_carry(desk.world, place, medium)
        parts.append(
            Part(single.random_id, single.message, given.entities(single.entities), medium)
        )
    return _sent(desk, call, _send(desk, call, place, parts, album=desk.world.number()))


@handles("messages.UploadMedia")
def upload_media(desk: Desk, call: Call) -> Any:
    _writable(desk, call, call.query.peer)
    return given.medium(desk, call.query.media).raw()


def _writable(desk: Desk, call: Call, peer: Any) -> Place:
    place = peers.place(desk, call, peer)
    peers.check_may_write(call, place)
    return place


def _send(
    desk: Desk, call: Call, place: Place, parts: list[Part], album: int | None = None
) -> list[Message]:
    """Post what is new; what came before with the same random_id is the message it was."""
    known = [desk.world.sent.get((call.account, place, part.random_id)) for part in parts]
    if any(known) and desk.world.rules.duplicates == "error":
        raise RpcFailure(500, "RANDOM_ID_DUPLICATE")
    album = next((old.album for old in known if old), album)
    drafts = [
        old or _draft(desk, call, place, part, album)
        for old, part in zip(known, parts, strict=True)
    ]
    fresh = [draft for draft, old in zip(drafts, known, strict=True) if old is None]
    if fresh:
        desk.world.post(*fresh, origin=call.session)
    return drafts


def _draft(desk: Desk, call: Call, place: Place, part: Part, album: int | None) -> Message:
    reply, topic = _answered(desk, call, place)
    return Message(
        place,
        call.account,
        _shown_sender(desk, call, place),
        desk.world.now,
        text=part.text,
        entities=part.entities,
        media=part.media,
        reply=reply,
        topic=topic,
        album=album,
        keyboard=getattr(call.query, "reply_markup", None),
        silent=bool(call.query.silent),
        no_webpage=part.no_webpage,
        inverted=bool(getattr(call.query, "invert_media", None)),
        random_id=part.random_id,
    )


def _shown_sender(desk: Desk, call: Call, place: Place) -> Account | Chat:
    send_as = getattr(call.query, "send_as", None)
    if send_as is not None and hasattr(send_as, "channel_id"):
        return peers.channel(desk, call, send_as)
    if isinstance(place, Chat) and place.kind is Kind.CHANNEL:
        return place
    if isinstance(place, Chat) and place.members[call.account].anonymous:
        return place
    return call.account


def _answered(desk: Desk, call: Call, place: Place) -> tuple[Reply | None, int | None]:
    """What is replied to, and the topic. Old layers say it in two fields, new ones in one."""
    query = call.query
    header = getattr(query, "reply_to", None) or query
    message_id = getattr(header, "reply_to_msg_id", None)
    topic_id = getattr(header, "top_msg_id", None)
    if not message_id:
        return None, topic_id
    elsewhere = getattr(header, "reply_to_peer_id", None)
    if elsewhere is not None:
        other = peers.place(desk, call, elsewhere)
        answered = peers.message(call, other, message_id)
        return (Reply(answered, other) if answered else None), topic_id
    if isinstance(place, Chat) and (topic_id or message_id) in place.topics:
        refusals.check_topic(place, place.topics[topic_id or message_id], call.account)
    if isinstance(place, Chat) and message_id in place.topics:
        return None, message_id
    answered = peers.message(call, place, message_id)
    if answered is None and desk.world.rules.missing_reply_is_error:
        raise RpcFailure(400, "REPLY_MESSAGE_ID_INVALID")
    if answered is None:
        return None, topic_id
    return Reply(answered, quote=refusals.quote(header, answered)), answered.topic or topic_id


# ── what the sender is told ──


def _sent(desk: Desk, call: Call, messages: list[Message]) -> Any:
    """https://core.telegram.org/method/messages.sendMessage: the ids, then the messages."""
    view = View(desk.world, call.account)
    ids = [
        types.UpdateMessageID(id=m.id_for(call.account), random_id=m.random_id)
        for m in messages
        if m.random_id is not None
    ]
    news = [_as_new(desk, call, view, message) for message in messages]
    return view.container([*ids, *news])


def _as_new(desk: Desk, call: Call, view: View, message: Message) -> Any:
    owner = _owner(call.account, message.place)
    event = _event_of(owner.box, message)
    update = view.update(owner, event)
    repeated = desk.world.rules.duplicate_pts_count
    if repeated is not None and event.pts != owner.box.pts:
        update.pts_count = repeated
    return update


def _short_answer(account: Account, message: Message) -> Any:
    event = _event_of(account.box, message)
    return types.UpdateShortSentMessage(
        id=message.id_for(account),
        pts=event.pts,
        pts_count=event.count,
        date=message.date,
        out=True,
        entities=list(message.entities) or None,
    )


def _owner(account: Account, place: Place) -> Owner:
    return place if isinstance(place, Chat) and place.has_own_box else account


def _event_of(box: Box, message: Message) -> Event:
    newest_first = reversed(box.events)
    return next(e for e in newest_first if e.what is Happening.NEW and message in e.messages)


# ── forwarding ──


@handles("messages.ForwardMessages")
def forward_messages(desk: Desk, call: Call) -> Any:
    query = call.query
    source = peers.place(desk, call, query.from_peer)
    place = _writable(desk, call, query.to_peer)
    originals = [peers.message(call, source, message_id) for message_id in query.id]
    found = [(m, r) for m, r in zip(originals, query.random_id, strict=True) if m is not None]
    if not found:
        raise RpcFailure(400, "MESSAGE_ID_INVALID")
    albums: dict[int, int] = {}
    drafts = []
    for original, random_id in found:
        old = desk.world.sent.get((call.account, place, random_id))
        draft = old or _forwarded(desk, call, place, original, random_id, albums)
        drafts.append(draft)
    fresh = [draft for draft in drafts if not draft.ids]
    if fresh:
        desk.world.post(*fresh, origin=call.session)
    return _sent(desk, call, drafts)


def _forwarded(
    desk: Desk, call: Call, place: Place, original: Message, random_id: int, albums: dict[int, int]
) -> Message:
    album = original.album
    if album is not None:
        album = albums.setdefault(album, desk.world.number())
    nameless = bool(getattr(call.query, "drop_author", None))
    return Message(
        place,
        call.account,
        _shown_sender(desk, call, place),
        desk.world.now,
        text=original.text,
        entities=original.entities,
        media=original.media,
        album=album,
        forward=None if nameless else forward_of(original),
        random_id=random_id,
    )


def forward_of(original: Message) -> Forward:
    """The header a forward of this message carries; a forward keeps its first source."""
    if original.forward is not None:
        return original.forward
    sender = original.sender
    return Forward(
        original.date,
        sender,
        post_id=original.id if original.post else None,
        signature=original.signature,
    )


# ── editing, deleting, pinning ──


@handles("messages.EditMessage")
def edit_message(desk: Desk, call: Call) -> Any:
    query = call.query
    place = _writable(desk, call, query.peer)
    message = peers.message(call, place, query.id)
    if message is None or message.service:
        raise RpcFailure(400, "MESSAGE_ID_INVALID")
    if message.author is not call.account and not (message.post and _rules(call, place)):
        raise RpcFailure(403, "MESSAGE_AUTHOR_REQUIRED")
    desk.world.edit(message, origin=call.session, **_changes(desk, query, message))
    view = View(desk.world, call.account)
    owner = _owner(call.account, place)
    last = next(e for e in reversed(owner.box.events) if message in e.messages)
    return view.container([view.update(owner, last)])


def _changes(desk: Desk, query: Any, message: Message) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "keyboard": query.reply_markup,
        "inverted": bool(getattr(query, "invert_media", None)),
    }
    if query.media is not None:
        changes["media"] = _replacement(desk, query, message)
    shown = changes.get("media", message.media)
    if shown is None or isinstance(shown, Preview):
        changes["no_webpage"] = bool(query.no_webpage)
        if query.no_webpage:
            changes["media"] = shown = None
    if query.message is not None:
        limit = given.TEXT_MAX if shown is None or isinstance(shown, Preview) else given.CAPTION_MAX
        given.check_text(query.message, query.entities, limit)
        changes |= {"text": query.message, "entities": given.entities(query.entities)}
    if all(getattr(message, name) == value for name, value in changes.items()):
        raise RpcFailure(400, "MESSAGE_NOT_MODIFIED")
    return changes


def _replacement(desk: Desk, query: Any, message: Message) -> Media:
    """https://core.telegram.org/bots/api#editmessagemedia says what can be put for what."""
    new = given.medium(desk, query.media)
    refusals.check_may_carry(desk.world, message.place, new)
    if not (_gives_way(message.media) and _gives_way(new)):
        raise RpcFailure(400, "MEDIA_PREV_INVALID")
    return new


def _gives_way(medium: Media | None) -> bool:
    if isinstance(medium, Document):
        return not any(
            isinstance(attribute, types.DocumentAttributeSticker)
            or getattr(attribute, "voice", None)
            or getattr(attribute, "round_message", None)
            for attribute in medium.attributes
        )
    return medium is None or isinstance(medium, (Photo, Preview))


def _rules(call: Call, place: Place) -> bool:
    return isinstance(place, Chat) and place.role(call.account).rules


@handles("channels.DeleteMessages")
def delete_channel_messages(desk: Desk, call: Call) -> Any:
    chat = peers.channel(desk, call, call.query.channel)
    found = [peers.message(call, chat, message_id) for message_id in call.query.id]
    messages = [m for m in found if m is not None]
    if not all(m.author is call.account or _rules(call, chat) for m in messages):
        raise RpcFailure(403, "MESSAGE_DELETE_FORBIDDEN")
    desk.world.delete(messages, origin=call.session)
    return types.messages.AffectedMessages(pts=chat.box.pts, pts_count=len(messages))


@handles("messages.DeleteMessages")
def delete_messages(desk: Desk, call: Call) -> Any:
    """Private chats and basic groups; always for everybody (`revoke` is not looked at)."""
    found = [call.account.mail.get(message_id) for message_id in call.query.id]
    by_place: dict[Place, list[Message]] = {}
    for message in found:
        if message is not None and not message.deleted:
            by_place.setdefault(message.place, []).append(message)
    for messages in by_place.values():
        desk.world.delete(messages, origin=call.session)
    count = sum(len(messages) for messages in by_place.values())
    return types.messages.AffectedMessages(pts=call.account.box.pts, pts_count=count)


@handles("messages.UpdatePinnedMessage")
def update_pinned_message(desk: Desk, call: Call) -> Any:
    query = call.query
    place = _writable(desk, call, query.peer)
    message = peers.message(call, place, query.id)
    if message is None:
        raise RpcFailure(400, "MESSAGE_ID_INVALID")
    message.pinned = not query.unpin
    if query.unpin:
        return View(desk.world, call.account).container([])
    note = Message(
        place,
        call.account,
        _shown_sender(desk, call, place),
        desk.world.now,
        reply=Reply(message),
        service=Service("PinMessage"),
    )
    desk.world.post(note, origin=call.session)
    return _sent(desk, call, [note])


# ── reading ──


@handles("channels.GetMessages")
def get_channel_messages(desk: Desk, call: Call) -> Any:
    chat = peers.channel(desk, call, call.query.channel)
    view = View(desk.world, call.account)
    view.peer(chat)
    messages = [_asked_for(view, call, chat, wanted) for wanted in _ids(call)]
    return make(
        types.messages.ChannelMessages,
        pts=chat.box.pts,
        count=len(messages),
        messages=messages,
        chats=view.chats(),
        users=view.users(),
    )


@handles("messages.GetMessages")
def get_messages(desk: Desk, call: Call) -> Any:
    view = View(desk.world, call.account)
    messages = [_asked_for(view, call, None, wanted) for wanted in _ids(call)]
    return make(types.messages.Messages, messages=messages, chats=view.chats(), users=view.users())


def _ids(call: Call) -> list[Any]:
    if not call.query.id:
        raise RpcFailure(400, "MESSAGE_IDS_EMPTY")
    return objects(call.query.id)


def _asked_for(view: View, call: Call, chat: Chat | None, wanted: Any) -> Any:
    found = _find(call, chat, wanted)
    if found is None or found.deleted:
        return types.MessageEmpty(id=getattr(wanted, "id", 0))
    return view.message(found)


def _find(call: Call, chat: Chat | None, wanted: Any) -> Message | None:
    if isinstance(wanted, types.InputMessagePinned):
        pinned = [m for m in (chat.messages.values() if chat else ()) if m.pinned]
        return pinned[-1] if pinned else None
    known = call.account.mail if chat is None else chat.messages
    message = known.get(wanted.id)
    if not isinstance(wanted, types.InputMessageReplyTo) or message is None:
        return message
    reply = message.reply
    return reply.to if reply and isinstance(reply.to, Message) else None


@handles("messages.GetHistory")
def get_history(desk: Desk, call: Call) -> Any:
    """Newest first, below `offset_id`. The other ways to narrow it are not modelled."""
    place = peers.place(desk, call, call.query.peer)
    alive = [m for m in desk.world.messages(place) if not m.deleted]
    first = call.query.offset_id or 2**31
    older = [m for m in reversed(alive) if m.id_for(call.account) < first]
    view = View(desk.world, call.account)
    return make(
        types.messages.Messages,
        messages=[view.message(m) for m in older[: call.query.limit]],
        chats=view.chats(),
        users=view.users(),
    )


@handles("messages.ReadHistory")
def read_history(_desk: Desk, call: Call) -> Any:
    return types.messages.AffectedMessages(pts=call.account.box.pts, pts_count=0)


@handles("channels.ReadHistory", "messages.SetTyping")
def accept(_desk: Desk, _call: Call) -> Any:
    return True
