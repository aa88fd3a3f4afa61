"""What a client calls a peer, and whether it may.

A stranger's access hash is worth nothing; a bot may leave it out (0) for whom it knows.
https://core.telegram.org/api/peers.
"""

from typing import Any

from pyrogram import raw

from tests.loopback.calls import Call, RpcFailure
from tests.loopback.rpc import Desk
from tests.loopback.world import Account, Chat, Dialogue, Kind, Message, Place


def account(desk: Desk, call: Call, peer: Any) -> Account | None:
    """The account an InputUser or InputPeerUser means, or None."""
    asking = _asking(call)
    if isinstance(peer, (raw.types.InputUserSelf, raw.types.InputPeerSelf)):
        return asking
    found = desk.world.accounts.get(getattr(peer, "user_id", 0))
    if found is None or not _knows(desk, asking, found, peer):
        return None
    return found


def channel(desk: Desk, call: Call, peer: Any) -> Chat:
    """A supergroup or channel the account may read, or the refusal."""
    chat = known_channel(desk, call, peer)
    if not chat.role(_asking(call)).inside and chat.username is None:
        raise RpcFailure(400, "CHANNEL_PRIVATE")
    return chat


def known_channel(desk: Desk, call: Call, peer: Any) -> Chat:
    """The same, whether the account is in it or not."""
    bare_id = getattr(peer, "channel_id", 0)
    chat = desk.world.chat_by_bare_id(bare_id, own_box=True)
    if chat is None or not _knows(desk, _asking(call), chat, peer):
        raise RpcFailure(400, "CHANNEL_INVALID")
    return chat


def group(desk: Desk, call: Call, bare_id: int) -> Chat:
    chat = desk.world.chat_by_bare_id(bare_id, own_box=False)
    if chat is None or _asking(call) not in chat.members:
        raise RpcFailure(400, "CHAT_ID_INVALID")
    return chat


def place(desk: Desk, call: Call, peer: Any) -> Place:
    """Where an InputPeer points to."""
    if hasattr(peer, "channel_id"):
        return channel(desk, call, peer)
    if hasattr(peer, "chat_id"):
        return group(desk, call, peer.chat_id)
    found = account(desk, call, peer)
    if found is None or found is call.account:
        raise RpcFailure(400, "PEER_ID_INVALID")
    return desk.world.dialogue(_asking(call), found)


def check_may_write(call: Call, where: Place) -> None:
    asking = _asking(call)
    if isinstance(where, Dialogue):
        _check_private(asking, where.partner(asking))
        return
    if where.migrated_to is not None:
        raise RpcFailure(400, "PEER_ID_INVALID")
    member = where.members.get(asking)
    if member is None or not member.role.inside:
        private = where.has_own_box and where.username is None
        raise RpcFailure(400, "CHANNEL_PRIVATE") if private else _may_not_write()
    if where.kind is Kind.CHANNEL and not member.role.rules:
        raise RpcFailure(400, "CHAT_ADMIN_REQUIRED")
    if member.muted:
        raise _may_not_write()


def _may_not_write() -> RpcFailure:
    return RpcFailure(403, "CHAT_WRITE_FORBIDDEN")


def _check_private(asking: Account, partner: Account) -> None:
    if asking in partner.blocked:
        raise RpcFailure(400, "USER_IS_BLOCKED")
    if asking.bot and partner.bot:
        raise RpcFailure(400, "USER_IS_BOT")


def message(call: Call, where: Place, message_id: int) -> Message | None:
    """A message that still exists, by the id the account knows it by."""
    asking = _asking(call)
    if isinstance(where, Chat) and where.has_own_box:
        found = where.messages.get(message_id)
    else:
        found = asking.mail.get(message_id)
    if found is None or found.deleted or found.place != where:
        return None
    return found


def _asking(call: Call) -> Account:
    if call.account is None:
        raise RpcFailure(401, "AUTH_KEY_UNREGISTERED")
    return call.account


def _knows(desk: Desk, asking: Account, subject: Account | Chat, peer: Any) -> bool:
    access_hash = getattr(peer, "access_hash", None)  # None: it is named by a message instead
    if access_hash is None or subject is asking:
        return True
    if access_hash == 0:
        return asking.bot and _has_met(asking, subject)
    return access_hash == desk.world.access_hash(asking, subject)


def _has_met(bot: Account, subject: Account | Chat) -> bool:
    if isinstance(subject, Account):
        return True
    return bot in subject.members or subject.username is not None
