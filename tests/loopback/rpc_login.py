"""Logging in, the state of the update boxes, files: what is not about a chat."""

from typing import Any

from pyrogram import raw

from tests.loopback import differences, peers
from tests.loopback.calls import Call, RpcFailure
from tests.loopback.media import DATA_CENTRE, Document, Photo
from tests.loopback.rpc import Desk, handles
from tests.loopback.tl import make
from tests.loopback.transport import HOST
from tests.loopback.views import View
from tests.loopback.world import API_HASH, API_ID

types = raw.types


@handles("help.GetConfig")
def get_config(desk: Desk, _call: Call) -> Any:
    here = make(types.DcOption, id=DATA_CENTRE, ip_address=HOST, port=desk.server.port)
    return make(
        types.Config,
        date=desk.world.now,
        expires=desk.world.now + 3600,
        this_dc=DATA_CENTRE,
        dc_options=[here],
        me_url_prefix="https://t.me/",
        caption_length_max=1024,
        message_length_max=4096,
    )


@handles("help.GetNearestDc")
def get_nearest_dc(_desk: Desk, _call: Call) -> Any:
    return types.NearestDc(country="", this_dc=DATA_CENTRE, nearest_dc=DATA_CENTRE)


@handles("auth.ImportBotAuthorization")
def import_bot_authorization(desk: Desk, call: Call) -> Any:
    if (call.query.api_id, call.query.api_hash) != (API_ID, API_HASH):
        raise RpcFailure(400, "API_ID_INVALID")
    token = call.query.bot_auth_token
    bot = next((a for a in desk.world.accounts.values() if a.bot and a.token == token), None)
    if bot is None:
        raise RpcFailure(400, "ACCESS_TOKEN_INVALID")
    key = call.session.key
    key.account, key.revoked = bot, None
    call.account = bot
    call.session.listening = True
    return make(types.auth.Authorization, user=View(desk.world, bot).user(bot))


@handles("auth.LogOut")
def log_out(_desk: Desk, call: Call) -> Any:
    call.session.key.account = None
    return make(types.auth.LoggedOut)


# ── update boxes ──


@handles("updates.GetState")
def get_state(desk: Desk, call: Call) -> Any:
    call.session.listening = True
    return differences.state(desk.world, call.account)


@handles("updates.GetDifference")
def get_difference(desk: Desk, call: Call) -> Any:
    call.session.listening = True
    query = call.query
    _check_pts(query.pts, call.account.box.pts)
    return differences.common(desk.world, call.account, pts=query.pts, date=query.date)


@handles("updates.GetChannelDifference")
def get_channel_difference(desk: Desk, call: Call) -> Any:
    query = call.query
    chat = peers.channel(desk, call, query.channel)
    _check_pts(query.pts, chat.box.pts)
    return differences.of_channel(
        desk.world,
        call.account,
        chat,
        pts=query.pts,
        limit=query.limit,
        ids=_wanted_ids(query.filter),
    )


def _check_pts(pts: int, now: int) -> None:
    if pts <= 0:
        raise RpcFailure(400, "PERSISTENT_TIMESTAMP_EMPTY")
    if pts > now:
        raise RpcFailure(400, "PERSISTENT_TIMESTAMP_INVALID")


def _wanted_ids(chosen: Any) -> list[range] | None:
    ranges = getattr(chosen, "ranges", None)
    return None if ranges is None else [range(r.min_id, r.max_id + 1) for r in ranges]


# ── files ──


@handles("upload.SaveFilePart", "upload.SaveBigFilePart")
def save_file_part(desk: Desk, call: Call) -> Any:
    parts = desk.uploads.setdefault(call.query.file_id, {})
    parts[call.query.file_part] = call.query.bytes
    return True


@handles("upload.GetFile")
def get_file(desk: Desk, call: Call) -> Any:
    query = call.query
    medium = desk.world.media.get(getattr(query.location, "id", 0))
    if medium is None:
        raise RpcFailure(400, "LOCATION_INVALID")
    check_reference(medium, query.location)
    part = medium.content[query.offset : query.offset + query.limit]
    kind = types.storage.FileJpeg() if isinstance(medium, Photo) else types.storage.FileUnknown()
    return types.upload.File(type=kind, mtime=medium.date, bytes=part)


def check_reference(medium: Photo | Document, named: Any) -> None:
    if named.access_hash != medium.access_hash:
        raise RpcFailure(400, "FILE_ID_INVALID")
    if named.file_reference != medium.file_reference:
        raise RpcFailure(400, "FILE_REFERENCE_EXPIRED")
