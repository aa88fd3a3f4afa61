"""The world as one account sees it, in raw TL.

A `View` collects every user and chat that what it showed refers to, because each answer
of Telegram carries them along. https://core.telegram.org/api/peers.
"""

from collections.abc import Iterable
from typing import Any

from pyrogram import raw

from tests.loopback.media import Unknown
from tests.loopback.tl import Raw, find, make
from tests.loopback.world import (
    Account,
    Chat,
    Dialogue,
    Event,
    Forward,
    Happening,
    Kind,
    Message,
    Owner,
    Place,
    Role,
    Service,
    World,
)

types = raw.types

ALL_RIGHTS = dict.fromkeys(
    (
        "change_info",
        "post_messages",
        "edit_messages",
        "delete_messages",
        "ban_users",
        "invite_users",
        "pin_messages",
        "manage_topics",
        "other",
    ),
    True,
)


# Kinds of media whose right has another name than their refusal.
FORBIDS = {"poll": "polls"}


def banned(kinds: Iterable[str]) -> Any:
    rights = dict.fromkeys((f"send_{kind}" for kind in kinds), True)
    return make(types.ChatBannedRights, until_date=0, **rights)


def plain_peer(who: Owner) -> Any:
    if isinstance(who, Account):
        return types.PeerUser(user_id=who.id)
    if who.kind is Kind.GROUP:
        return types.PeerChat(chat_id=who.bare_id)
    return types.PeerChannel(channel_id=who.bare_id)


def is_own(message: Message, viewer: Account) -> bool:
    """Whether the viewer wrote it: `out`. A channel's posts are told to their writers as well.

    https://core.telegram.org/constructor/message; TDLib's `can_edit_message` relies on that.
    """
    return message.author is viewer


class View:
    def __init__(self, world: World, viewer: Account, *, min_peers: bool = False) -> None:
        self.world = world
        self.viewer = viewer
        self._min = min_peers
        self._accounts: dict[int, Account] = {viewer.id: viewer}
        self._chats: dict[int, Chat] = {}

    # ── peers ──

    def peer(self, who: Owner) -> Any:
        if isinstance(who, Account):
            self._accounts[who.id] = who
        else:
            self._chats[who.id] = who
        return plain_peer(who)

    def place(self, place: Place) -> Any:
        return self.peer(place.partner(self.viewer) if isinstance(place, Dialogue) else place)

    def users(self) -> list[Any]:
        return [self.user(account) for account in self._accounts.values()]

    def chats(self) -> list[Any]:
        return [self.chat(chat) for chat in self._chats.values()]

    def user(self, account: Account) -> Any:
        me = account is self.viewer
        as_min = self._min and not me
        return make(
            types.User,
            id=account.id,
            is_self=me or None,
            min=as_min or None,
            bot=account.bot or None,
            bot_info_version=1 if account.bot else None,
            access_hash=self.world.access_hash(self.viewer, account),
            first_name=account.name,
            username=account.username,
            lang_code=account.language if account.bot else None,
            photo=self._photo(account, None),
        )

    def _photo(self, of: Owner, usual: Any) -> Any:
        return Raw() if of.strange and of is not self.viewer else usual

    def chat(self, chat: Chat) -> Any:
        role = chat.role(self.viewer)
        if chat.kind is Kind.GROUP:
            return self._group(chat, role)
        if not role.inside and chat.username is None:
            return self._forbidden(chat)
        return make(
            types.Channel,
            id=chat.bare_id,
            title=chat.title,
            photo=self._photo(chat, types.ChatPhotoEmpty()),
            date=chat.date,
            access_hash=self.world.access_hash(self.viewer, chat),
            broadcast=chat.kind is Kind.CHANNEL or None,
            megagroup=chat.kind is Kind.SUPERGROUP or None,
            forum=chat.forum or None,
            username=chat.username,
            has_link=chat.linked is not None or None,
            creator=role is Role.CREATOR or None,
            left=(not role.inside) or None,
            admin_rights=self._rights(role),
            banned_rights=self._ban(chat),
            default_banned_rights=banned(FORBIDS.get(kind, kind) for kind in chat.forbidden),
            participants_count=len(chat.readers()),
        )

    def _ban(self, chat: Chat) -> Any:
        member = chat.members.get(self.viewer)
        return banned(["messages"]) if member is not None and member.muted else None

    def _group(self, chat: Chat, role: Role) -> Any:
        if role is Role.KICKED:
            return types.ChatForbidden(id=chat.bare_id, title=chat.title)
        return make(
            types.Chat,
            id=chat.bare_id,
            title=chat.title,
            photo=self._photo(chat, types.ChatPhotoEmpty()),
            participants_count=len(chat.readers()),
            date=chat.date,
            version=1,
            creator=role is Role.CREATOR or None,
            left=(not role.inside) or None,
            deactivated=chat.deleted or chat.migrated_to is not None or None,
            migrated_to=self.input_channel(chat.migrated_to) if chat.migrated_to else None,
            admin_rights=self._rights(role),
        )

    def _forbidden(self, chat: Chat) -> Any:
        return make(
            types.ChannelForbidden,
            id=chat.bare_id,
            access_hash=self.world.access_hash(self.viewer, chat),
            title=chat.title,
            broadcast=chat.kind is Kind.CHANNEL or None,
            megagroup=chat.kind is Kind.SUPERGROUP or None,
        )

    def input_channel(self, chat: Chat) -> Any:
        access_hash = self.world.access_hash(self.viewer, chat)
        return types.InputChannel(channel_id=chat.bare_id, access_hash=access_hash)

    @staticmethod
    def _rights(role: Role) -> Any:
        return make(types.ChatAdminRights, **ALL_RIGHTS) if role.rules else None

    # ── messages ──

    def message(self, message: Message) -> Any:
        if message.deleted:
            return types.MessageEmpty(id=message.id_for(self.viewer))
        if isinstance(message.media, Unknown) and message.media.whole:
            return self._media(message.media)
        common = {
            "id": message.id_for(self.viewer),
            "peer_id": self.place(message.place),
            "from_id": self._from(message),
            "date": message.date,
            "out": is_own(message, self.viewer) or None,
            "post": message.post or None,
            "silent": message.silent or None,
            "reply_to": self._reply(message),
        }
        if message.service:
            return make(types.MessageService, action=self._action(message.service), **common)
        return make(
            types.Message,
            **common,
            message=message.text,
            entities=list(message.entities) or None,
            media=self._media(message.media),
            reply_markup=message.keyboard,
            fwd_from=self._forward(message.forward),
            via_bot_id=self.peer(message.via_bot).user_id if message.via_bot else None,
            from_scheduled=message.scheduled or None,
            edit_date=message.edit_date,
            edit_hide=message.edit_hidden or None,
            grouped_id=message.album,
            post_author=message.signature,
            pinned=message.pinned or None,
            invert_media=message.inverted or None,
            noforwards=getattr(message.place, "protected", None) or None,
            views=1 if message.post else None,
            forwards=0 if message.post else None,  # one flag says that both are there
        )

    def _media(self, medium: Any) -> Any:
        if isinstance(medium, Unknown) and not medium.strange_to(self.viewer):
            medium = medium.instead
        return medium.raw() if medium else None

    def _from(self, message: Message) -> Any:
        """`from_id` is left out where the peer says it already: posts, and what a partner wrote."""
        sender = message.sender
        if sender is None or message.post:
            return None
        if isinstance(message.place, Dialogue) and sender is not self.viewer:
            self.peer(sender)
            return None
        if sender is message.place and not self.world.rules.anonymous_from_id:
            return None
        return self.peer(sender)

    def _reply(self, message: Message) -> Any:
        """https://core.telegram.org/api/threads, https://core.telegram.org/api/forum."""
        reply, topic = message.reply, message.topic
        if reply is None:
            return self._topic_header(topic) if topic else None
        return make(
            types.MessageReplyHeader,
            reply_to_msg_id=self._answered_id(reply.to),
            reply_to_peer_id=self.peer(reply.elsewhere) if reply.elsewhere else None,
            reply_to_top_id=topic or self._thread_id(message),
            forum_topic=bool(topic) or None,
            quote=True if reply.quote else None,
            quote_text=reply.quote.text if reply.quote else None,
            quote_entities=list(reply.quote.entities) or None if reply.quote else None,
        )

    @staticmethod
    def _topic_header(topic: int) -> Any:
        return make(types.MessageReplyHeader, reply_to_msg_id=topic, forum_topic=True)

    def _answered_id(self, answered: Message | int) -> int:
        return answered if isinstance(answered, int) else answered.id_for(self.viewer)

    def _thread_id(self, message: Message) -> int | None:
        """The thread's first message, where that is not the answered one itself."""
        reply = message.reply
        if reply is None or isinstance(reply.to, int) or reply.elsewhere:
            return None
        if not message.place.has_own_box or reply.to.thread is reply.to:
            return None
        return reply.to.thread.id

    def _forward(self, forward: Forward | None) -> Any:
        if forward is None:
            return None
        saved_chat, saved_id = forward.saved_from or (None, None)
        return make(
            types.MessageFwdHeader,
            date=forward.date,
            from_id=self.peer(forward.sender) if forward.sender else None,
            from_name=forward.name,
            channel_post=forward.post_id,
            post_author=forward.signature,
            saved_from_peer=self.peer(saved_chat) if saved_chat else None,
            saved_from_msg_id=saved_id,
        )

    def _action(self, service: Service) -> Any:
        for account in service.accounts:
            self.peer(account)
        if service.chat is not None:
            self.peer(service.chat)
        action = find(f"types.MessageAction{service.name}")
        if action is None:
            raise ValueError(f"this library knows no MessageAction{service.name}")
        return make(
            action,
            users=[account.id for account in service.accounts],
            user_id=service.accounts[0].id if service.accounts else 0,
            chat_id=service.chat.bare_id if service.chat else 0,
            channel_id=service.chat.bare_id if service.chat else 0,
            title=service.title,
            icon_color=0x6FB9F0,
        )

    # ── updates ──

    def update(self, owner: Owner, event: Event) -> Any:
        if event.what is Happening.UNKNOWN:
            return Raw()
        if event.what is Happening.DELETE:
            return self._deletion(owner, event)
        kind = "New" if event.what is Happening.NEW else "Edit"
        where = "Channel" if isinstance(owner, Chat) else ""
        return make(
            getattr(types, f"Update{kind}{where}Message"),
            message=self.message(event.messages[0]),
            pts=event.pts,
            pts_count=event.count,
        )

    def _deletion(self, owner: Owner, event: Event) -> Any:
        fields = {
            "messages": [m.id_for(self.viewer) for m in event.messages],
            "pts": event.pts,
            "pts_count": event.count,
        }
        if isinstance(owner, Account):
            return types.UpdateDeleteMessages(**fields)
        self.peer(owner)
        return types.UpdateDeleteChannelMessages(channel_id=owner.bare_id, **fields)

    def container(self, updates: Iterable[Any]) -> Any:
        """`updates` last, when all they refer to is known. seq 0: these are ordered by pts."""
        return types.Updates(
            updates=list(updates),
            users=self.users(),
            chats=self.chats(),
            date=self.world.now,
            seq=0,
        )
