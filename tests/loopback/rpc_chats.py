"""Users, chats, members, bot commands, topics."""

from typing import Any

from pyrogram import raw

from tests.loopback import peers
from tests.loopback.calls import Call, RpcFailure
from tests.loopback.rpc import Desk, handles
from tests.loopback.tl import make, objects
from tests.loopback.views import ALL_RIGHTS, View
from tests.loopback.world import Account, Chat, Member, Message, Role, Service

types = raw.types


@handles("users.GetUsers")
def get_users(desk: Desk, call: Call) -> Any:
    view = View(desk.world, call.account)
    found = [peers.account(desk, call, peer) for peer in objects(call.query.id)]
    return [view.user(account) for account in found if account is not None]


@handles("users.GetFullUser")
def get_full_user(desk: Desk, call: Call) -> Any:
    account = peers.account(desk, call, call.query.id)
    if account is None:
        raise RpcFailure(400, "USER_ID_INVALID")
    full = make(
        types.UserFull,
        id=account.id,
        settings=make(types.PeerSettings),
        notify_settings=make(types.PeerNotifySettings),
    )
    user = View(desk.world, call.account).user(account)
    return make(types.users.UserFull, full_user=full, users=[user])


@handles("contacts.ResolveUsername")
def resolve_username(desk: Desk, call: Call) -> Any:
    wanted = call.query.username.lower()
    named = [*desk.world.accounts.values(), *desk.world.chats.values()]
    found = next((one for one in named if (one.username or "").lower() == wanted), None)
    if found is None:
        raise RpcFailure(400, "USERNAME_NOT_OCCUPIED")
    view = View(desk.world, call.account)
    peer = view.peer(found)
    return types.contacts.ResolvedPeer(peer=peer, chats=view.chats(), users=view.users())


@handles("channels.GetChannels")
def get_channels(desk: Desk, call: Call) -> Any:
    view = View(desk.world, call.account)
    chats = [peers.known_channel(desk, call, peer) for peer in call.query.id]
    return types.messages.Chats(chats=[view.chat(chat) for chat in chats])


@handles("messages.GetChats")
def get_chats(desk: Desk, call: Call) -> Any:
    view = View(desk.world, call.account)
    chats = [peers.group(desk, call, bare_id) for bare_id in call.query.id]
    return types.messages.Chats(chats=[view.chat(chat) for chat in chats])


@handles("channels.GetFullChannel")
def get_full_channel(desk: Desk, call: Call) -> Any:
    chat = peers.channel(desk, call, call.query.channel)
    view = View(desk.world, call.account)
    view.peer(chat)
    if chat.linked:
        view.peer(chat.linked)
    full = make(
        types.ChannelFull,
        id=chat.bare_id,
        chat_photo=types.PhotoEmpty(id=0),
        notify_settings=make(types.PeerNotifySettings),
        pts=chat.box.pts,
        participants_count=len(chat.readers()),
        linked_chat_id=chat.linked.bare_id if chat.linked else None,
        migrated_from_chat_id=chat.migrated_from.bare_id if chat.migrated_from else None,
    )
    return types.messages.ChatFull(full_chat=full, chats=view.chats(), users=view.users())


@handles("messages.GetFullChat")
def get_full_chat(desk: Desk, call: Call) -> Any:
    chat = peers.group(desk, call, call.query.chat_id)
    view = View(desk.world, call.account)
    view.peer(chat)
    for account in chat.readers():
        view.peer(account)
    members = [
        make(types.ChatParticipant, user_id=account.id, date=chat.date)
        for account in chat.readers()
    ]
    full = make(
        types.ChatFull,
        id=chat.bare_id,
        participants=make(types.ChatParticipants, chat_id=chat.bare_id, participants=members),
        notify_settings=make(types.PeerNotifySettings),
    )
    return types.messages.ChatFull(full_chat=full, chats=view.chats(), users=view.users())


# ── members ──


@handles("channels.GetParticipant")
def get_participant(desk: Desk, call: Call) -> Any:
    chat = peers.channel(desk, call, call.query.channel)
    account = peers.account(desk, call, call.query.participant)
    if account is None:
        raise RpcFailure(400, "PARTICIPANT_ID_INVALID")
    member = chat.members.get(account)
    if member is None or member.role is Role.LEFT:
        raise RpcFailure(400, "USER_NOT_PARTICIPANT")
    view = View(desk.world, call.account)
    view.peer(chat)
    participant = _participant(view, chat, account, member)
    return types.channels.ChannelParticipant(
        participant=participant, chats=view.chats(), users=view.users()
    )


@handles("channels.GetParticipants")
def get_participants(desk: Desk, call: Call) -> Any:
    chat = peers.channel(desk, call, call.query.channel)
    admins_only = isinstance(call.query.filter, types.ChannelParticipantsAdmins)
    members = [(a, m) for a, m in chat.members.items() if m.role.inside]
    members = [(a, m) for a, m in members if m.role.rules or not admins_only]
    view = View(desk.world, call.account)
    part = members[call.query.offset : call.query.offset + call.query.limit]
    participants = [_participant(view, chat, account, member) for account, member in part]
    return types.channels.ChannelParticipants(
        count=len(members), participants=participants, chats=view.chats(), users=view.users()
    )


def _participant(view: View, chat: Chat, account: Account, member: Member) -> Any:
    peer = view.peer(account)
    rights = make(types.ChatAdminRights, **ALL_RIGHTS, anonymous=member.anonymous or None)
    kinds = {
        Role.CREATOR: types.ChannelParticipantCreator,
        Role.ADMIN: types.ChannelParticipantAdmin,
        Role.MEMBER: types.ChannelParticipant,
        Role.KICKED: types.ChannelParticipantBanned,
    }
    kind = kinds[member.role]
    if account is view.viewer and member.role is Role.MEMBER:
        kind = types.ChannelParticipantSelf
    return make(
        kind,
        user_id=account.id,
        peer=peer,
        date=chat.date,
        promoted_by=account.id,
        inviter_id=account.id,
        kicked_by=account.id,
        admin_rights=rights,
        banned_rights=types.ChatBannedRights(until_date=0, view_messages=True),
        left=True,
        is_self=account is view.viewer or None,
    )


@handles("channels.LeaveChannel")
def leave_channel(desk: Desk, call: Call) -> Any:
    chat = peers.channel(desk, call, call.query.channel)
    chat.members[call.account] = Member(Role.LEFT)
    view = View(desk.world, call.account)
    view.peer(chat)
    return view.container([types.UpdateChannel(channel_id=chat.bare_id)])


# ── bots ──


@handles("bots.SetBotCommands")
def set_bot_commands(desk: Desk, call: Call) -> Any:
    """For everybody, or for one person; the other scopes are not told apart."""
    query = call.query
    if not isinstance(query.scope, types.BotCommandScopePeer):
        call.account.commands = list(query.commands)
        return True
    person = peers.account(desk, call, query.scope.peer)
    if person is None:
        raise RpcFailure(400, "PEER_ID_INVALID")
    call.account.commands_of[person] = list(query.commands)
    return True


@handles("bots.GetBotCommands")
def get_bot_commands(_desk: Desk, call: Call) -> Any:
    return list(call.account.commands)


@handles("bots.ResetBotCommands")
def reset_bot_commands(_desk: Desk, call: Call) -> Any:
    call.account.commands = []
    return True


@handles("messages.SetBotCallbackAnswer")
def set_bot_callback_answer(desk: Desk, call: Call) -> Any:
    question = desk.questions.pop(call.query.query_id, None)
    if question is None:
        raise RpcFailure(400, "QUERY_ID_INVALID")
    if not question.answer.done():
        question.answer.set_result(call.query)
    return True


# ── for users ──


@handles("messages.GetDialogs")
def get_dialogs(desk: Desk, call: Call) -> Any:
    """All of them at once: the first page is the only one, and the next is empty."""
    view = View(desk.world, call.account)
    chats = [c for c in desk.world.chats.values() if c.role(call.account).inside]
    if call.query.offset_date:
        chats = []
    tops = {chat: _top(desk, chat) or _birth(chat, call.account) for chat in chats}
    dialogs = [
        make(
            types.Dialog,
            peer=view.peer(chat),
            top_message=top.id_for(call.account),
            notify_settings=make(types.PeerNotifySettings),
            pts=chat.box.pts if chat.has_own_box else None,
        )
        for chat, top in tops.items()
    ]
    messages = [view.message(top) for top in tops.values()]
    return types.messages.Dialogs(
        dialogs=dialogs, messages=messages, chats=view.chats(), users=view.users()
    )


def _top(desk: Desk, chat: Chat) -> Message | None:
    alive = [m for m in desk.world.messages(chat) if not m.deleted]
    return alive[-1] if alive else None


def _birth(chat: Chat, reader: Account) -> Message:
    """What stands first in every chat: that it was created. Kept nowhere, being the same always."""
    name = "ChannelCreate" if chat.has_own_box else "ChatCreate"
    note = Message(chat, None, None, chat.date, service=Service(name, title=chat.title))
    note.ids[None if chat.has_own_box else reader] = 1
    return note


@handles("channels.GetForumTopicsByID", "messages.GetForumTopicsByID")
def get_forum_topics_by_id(desk: Desk, call: Call) -> Any:
    query = call.query
    chat = peers.channel(desk, call, getattr(query, "peer", None) or query.channel)
    if not chat.forum:
        raise RpcFailure(400, "CHANNEL_FORUM_MISSING")
    view = View(desk.world, call.account)
    view.peer(chat)
    topics = [chat.topics[i] for i in query.topics if i in chat.topics]
    shown = [
        make(
            types.ForumTopic,
            id=topic.id,
            date=topic.date,
            peer=view.peer(chat),
            title=topic.title,
            from_id=view.peer(topic.creator),
            notify_settings=make(types.PeerNotifySettings),
        )
        for topic in topics
    ]
    return make(
        types.messages.ForumTopics,
        count=len(shown),
        topics=shown,
        chats=view.chats(),
        users=view.users(),
        pts=chat.box.pts,
    )
