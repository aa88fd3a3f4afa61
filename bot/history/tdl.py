"""Exports of tdl (https://github.com/iyear/tdl), as far as they tell what a decision needs.

`tdl chat export --all --with-content --raw` writes Telegram's own objects beside its few fields, under
the names of a library for Go: without the names of their types, so a peer is told by its one field, and
formatting is not told at all.
"""

from __future__ import annotations

from typing import Any, Final

PEERS: Final = {"UserID": "user", "ChatID": "chat", "ChannelID": "channel"}
TYPES: Final = {"user": "personal_chat", "chat": "private_group", "channel": "private_supergroup"}
MEDIA: Final = {
    "Photo": "photo",
    "Document": "file",
    "Poll": "poll",
    "Geo": "location_information",
    "PhoneNumber": "contact_information",
}
FIELDS: Final = {"id", "type", "file", "date", "text", "raw"}
LACKS: Final = (
    "is an export of tdl, which tells neither who wrote a message nor what it answers: export again "
    "with `tdl chat export --all --with-content --raw`, or from Telegram Desktop as JSON"
)


def is_one(first: object) -> bool:
    """`first`: the first message of an export that does not say of what type its chat is."""
    return isinstance(first, dict) and "file" in first and first.keys() <= FIELDS


def chat_of(first: Any) -> tuple[str, int] | None:
    """The type of its chat as Telegram Desktop names it, and its bare id; None: `LACKS`."""
    raw = first.get("raw")
    peer = _peer(raw.get("PeerID")) if isinstance(raw, dict) else None
    return None if peer is None else (TYPES[peer[0]], peer[1])


def item_of(message: Any) -> Any:
    """The message in the words of Telegram Desktop's export."""
    raw = message.get("raw") if isinstance(message, dict) else None
    if not isinstance(raw, dict):
        return None
    # What no user is named for was written by the chat itself: a channel, an anonymous admin.
    item = {
        "id": raw.get("ID"),
        "type": "message",
        "date_unixtime": raw.get("Date"),
        "from_id": _named(raw.get("FromID")) or _named(raw.get("PeerID")),
        "text": raw.get("Message"),
        "edited_unixtime": raw.get("EditDate"),
    }
    media = raw.get("Media")
    kind = next(
        (name for key, name in MEDIA.items() if isinstance(media, dict) and media.get(key)), None
    )
    return (
        item
        | _reply(raw.get("ReplyTo"))
        | _forward(raw.get("FwdFrom"))
        | ({kind: {}} if kind else {})
    )


def _peer(value: object) -> tuple[str, int] | None:
    if isinstance(value, dict):
        for key, kind in PEERS.items():
            if type(value.get(key)) is int:
                return kind, value[key]
    return None


def _named(value: object) -> str | None:
    peer = _peer(value)
    return None if peer is None else f"{peer[0]}{peer[1]}"


def _reply(header: object) -> dict[str, Any]:
    if not isinstance(header, dict) or not header.get("ReplyToMsgID"):
        return {}
    other = _named(header.get("ReplyToPeerID"))
    answered = {"reply_to_message_id": header["ReplyToMsgID"]}
    return answered | ({"reply_to_peer_id": other} if other else {})


def _forward(header: object) -> dict[str, Any]:
    """Where there is none, Go writes one of zeros."""
    if not isinstance(header, dict) or not header.get("Date"):
        return {}
    return {"forwarded_from_id": _named(header.get("FromID"))}
