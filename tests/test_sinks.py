"""Programs beside chats: webhooks and files as places of `routes.toml`, from what is written to what is told."""

from __future__ import annotations

import asyncio
import json
import os
import re
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest
from pydantic import SecretStr

from bot.admin import explain, status, status_shown
from bot.app import open_core
from bot.config import Settings
from bot.delivery.jsonl import EventFile
from bot.delivery.progress import Places
from bot.delivery.webhook import Webhook
from bot.delivery.worker import Unwatched
from bot.endpoints import Endpoint, FileEndpoint
from bot.errors import RetryLater, SettingsError, TargetUnavailable
from bot.known_routes import read_routes
from bot.models import is_sink
from bot.posts import Backlog
from bot.queues import sink_queue
from bot.routes_file import Listed
from bot.setup.check import Verdict, of_sink
from bot.sink_keys import Sinks
from bot.storage import post_records
from tests import wiring
from tests.events import event, lines
from tests.people import ALICE, GROUP, NOON, TARGET, says
from tests.receiver import SECRET, Receiver
from tests.resolver import Names

OTHER_GROUP = GROUP - 1
SECRETS = {"WEBHOOK_SECRET_HOOK": SecretStr(SECRET), "WEBHOOK_SECRET_DESK_2": SecretStr(SECRET)}
WHOLE = f"""
[[source]]
name = "majors"
chat = {GROUP}
allowed_users = "everyone"

  [[source.place]]
  chat = {TARGET}

  [[source.place]]
  name = "hook"
  webhook = "https://example.org/hook"
  allow_private = true
  fresh_for = "90s"
  late = "skip"
  strip_lines = ["promo"]

  [[source.place]]
  name = "sheet"
  jsonl = "signals.jsonl"
  fresh_for = 5

[[source]]
name = "метки"
chat = {OTHER_GROUP}
allowed_users = "everyone"

  [[source.place]]
  name = "desk-2"
  webhook = "https://example.org/desk"
""".replace("метки", "scalps")


def listed(text, data_dir, **secrets):
    given = {name: SecretStr(each) for name, each in secrets.items()}
    return Listed(text, sinks=Sinks(SECRETS | given, data_dir)).known({})


def places_of(routes):
    return {place.label: place for place in routes.places}


# ── what may be written ──


def test_a_webhook_and_a_file_are_places_beside_chats(tmp_path):
    routes = listed(WHOLE, tmp_path)
    found = places_of(routes)

    hook, sheet, desk = (found[name].endpoint for name in ("hook", "sheet", "desk-2"))
    assert isinstance(hook, Endpoint)
    assert (hook.url, hook.secret) == ("https://example.org/hook", SECRET)
    assert (hook.fresh_for.total_seconds(), hook.skip_late, hook.allow_private) == (90, True, True)
    assert found["hook"].presentation.strip_lines == ("promo",)
    assert isinstance(sheet, FileEndpoint)
    assert sheet.path == tmp_path / "signals.jsonl"
    assert (sheet.fresh_for.total_seconds(), sheet.skip_late) == (300, False)
    assert (desk.fresh_for.total_seconds(), desk.skip_late, desk.allow_private) == (
        600,
        False,
        False,
    )
    assert routes.targets == (TARGET,)
    assert len(routes.queues) == 4
    assert all(map(is_sink, routes.sinks))
    assert SECRET not in repr(routes)
    assert "example.org" not in repr(routes)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("jsonl = ", 'webhook = "https://example.org/"\njsonl = ', 21, "jsonl: a place is one of chat, webhook, jsonl"),
        (f"chat = {TARGET}", f'chat = {TARGET}\nwebhook = "https://example.org/"', 9, "webhook: a place is one of"),
        (f"chat = {TARGET}", "", 7, "chat is missing: chat = an id"),
        (f"chat = {TARGET}", "", 7, 'or jsonl = "signals.jsonl"'),
        ('name = "hook"', "", 10, "name is missing"),
        ('name = "sheet"', "", 18, "name is missing"),
        ('name = "sheet"', 'name = "hook"', 19, "hook is the name of line 11: take another"),
        ('name = "desk-2"', 'name = "majors"', 30, "WEBHOOK_SECRET_MAJORS is not set"),
        ('name = "hook"', 'name = "desk_2"', 29, "desk-2 and desk_2 would have one secret, WEBHOOK_SECRET_DESK_2: take"),
        ('name = "hook"', 'name = "no-one"', 12, "WEBHOOK_SECRET_NO_ONE is not set, in the environment or in .env: make one"),
        ('name = "hook"', 'name = "short"', 12, "WEBHOOK_SECRET_SHORT: a secret is whsec_ and 24 to 64 bytes"),
        ('"https://example.org/hook"', "7", 12, "webhook: give a URL in quotes"),
        ('"https://example.org/hook"', '"http://example.org/hook"', 12, "webhook: what is not on this machine is told by https only"),
        ('"https://example.org/desk"', '"https://10.0.0.8/desk"', 30, "webhook: this is a private address"),
        ("allow_private = true", 'allow_private = "yes"', 13, "allow_private: give true or false"),
        ('"90s"', '"soon"', 14, 'fresh_for: give minutes, such as 10, or "90s"'),
        ('"90s"', "0", 14, "fresh_for: give minutes"),
        ('"90s"', "-5", 14, "fresh_for: give minutes"),
        ('"90s"', "true", 14, "fresh_for: give minutes"),
        ('"90s"', '"999999d"', 14, "fresh_for: give minutes"),
        ('late = "skip"', "late = true", 15, 'late: give "mark" or "skip"'),
        ('"signals.jsonl"', '"signals.db"', 20, "jsonl: give a file whose name ends in .jsonl"),
        ('"signals.jsonl"', '""', 20, "jsonl: give a file"),
        ('"signals.jsonl"', "1", 20, "jsonl: give a file"),
        ("fresh_for = 5", "allow_private = true", 21, "allow_private is for webhook alone: take it out"),
        ("fresh_for = 5", "silent = true", 21, "silent is for chat alone: take it out"),
        ("fresh_for = 5", 'footer = "x"', 21, "footer is for chat alone: take it out"),
        ("fresh_for = 5", 'template = "{pair}"', 21, "template is for chat alone: take it out"),
        (f"chat = {TARGET}", f'chat = {TARGET}\nlate = "skip"', 9, "late is for webhook and jsonl alone: take it out"),
        ("fresh_for = 5", "fresh = 5", 21, "fresh is no key of a place: did you mean fresh_for?"),
        (f"chat = {TARGET}", 'name = "b"\njsonl = "./x/../signals.jsonl"\nfresh_for = 5', 22, "this is a place of majors in line 9 already"),
        ('"https://example.org/desk"', '"https://example.org:443/hook"', 28, "this is where hook leads in line 12, too: say one allow_private of both"),
    ],
)  # fmt: skip
def test_a_fault_of_such_a_place_is_told_with_its_line_and_the_mend(tmp_path, old, new, line, said):
    assert old in WHOLE
    with pytest.raises(SettingsError) as refused:
        listed(WHOLE.replace(old, new, 1), tmp_path, WEBHOOK_SECRET_SHORT="whsec_AAAA")
    (only,) = str(refused.value).splitlines()
    assert only.startswith(f"routes.toml, line {line}: ")
    assert said in only
    assert "whsec_AAAA" not in only
    assert SECRET not in only


def test_two_secrets_of_one_webhook_are_refused_and_not_shown(tmp_path):
    other = "whsec_" + "B" * 40
    text = WHOLE.replace("/desk", "/hook").replace('late = "skip"', "").replace('"90s"', "10")
    text = text.replace("allow_private = true", "")
    with pytest.raises(SettingsError, match="say one secret of both") as refused:
        listed(text, tmp_path, WEBHOOK_SECRET_DESK_2=other)
    assert other not in str(refused.value)
    assert len(listed(text, tmp_path).queues) == 3


@pytest.mark.parametrize("written", ["WEBHOOK_SECRET_DESK_2", "webhook_secret_desk_2"])
def test_the_secret_stands_in_env_by_the_name_of_its_place(tmp_path, monkeypatch, written):
    """The environment goes before the file, and neither is taken for a setting that was misspelt."""
    env, routes = tmp_path / ".env", tmp_path / "routes.toml"
    env.write_text(f"WEBHOOK_SECRET_HOOK={SECRET}\n{written}=whsec_{'C' * 40}\n", "utf-8")
    env.chmod(0o600)
    routes.write_text(WHOLE, "utf-8")
    given = {"routes_file": routes, "data_dir": tmp_path}

    def secret():
        settings = Settings.load(given, env_file=env)
        found = places_of(read_routes(settings).known({}))["desk-2"].endpoint.secret
        assert {found, SECRET} <= set(settings.secrets)
        assert found not in repr(settings)
        return found

    assert secret() == "whsec_" + "C" * 40
    monkeypatch.setenv("WEBHOOK_SECRET_DESK_2", "whsec_" + "D" * 40)
    assert secret() == "whsec_" + "D" * 40


# ── what is told ──


def routes_text(url, *, one="one.jsonl", both="both.jsonl"):
    return f"""
[[source]]
name = "majors"
chat = {GROUP}
allowed_users = "everyone"
  [[source.place]]
  name = "hook"
  webhook = "{url}"
  [[source.place]]
  name = "sheet"
  jsonl = "{one}"
  fresh_for = "3650d"
  [[source.place]]
  name = "log"
  jsonl = "{both}"
  late = "skip"

[[source]]
name = "scalps"
chat = {OTHER_GROUP}
allowed_users = "everyone"
  [[source.place]]
  name = "desk-2"
  webhook = "{url}"
  [[source.place]]
  name = "log-2"
  jsonl = "{both}"
  late = "skip"
"""


@asynccontextmanager
async def running(text, data_dir, permit=None):
    """A bot without Telegram: its intake, and what tells all that is to be told now."""
    routes = listed(text, data_dir)
    settings = wiring.settings(data_dir=data_dir)
    async with open_core(settings, routes, in_loop=True) as core, AsyncExitStack() as stack:
        queues = [
            sink_queue(core.store, target, endpoint, Unwatched(), stack, permit=permit)
            for target, endpoint in core.routes.sinks.items()
        ]

        async def tell():
            for queue in queues:
                while (await queue.post_next()) is not None:
                    pass

        yield core, tell


def told(events):
    return [
        (each["type"], each["data"]["source"], each["data"]["text"], each["late"])
        for each in events
    ]


class Unsure:
    """A lease that may be another host's by now, until it is confirmed."""

    def __init__(self):
        self.asked, self.confirmed = asyncio.Event(), asyncio.Event()

    async def sure(self):
        self.asked.set()
        await self.confirmed.wait()


async def test_a_host_that_may_be_deposed_tells_no_program_anything(tmp_path):
    lease = Unsure()
    async with (
        Receiver() as receiver,
        running(routes_text(receiver.url), tmp_path, lease.sure) as (core, tell),
    ):
        await core.intake.take([says(ALICE, "#idea BTC")])
        telling = asyncio.create_task(tell())
        asking = asyncio.create_task(lease.asked.wait())
        await asyncio.wait({telling, asking}, return_when=asyncio.FIRST_COMPLETED)
        asking.cancel()
        assert receiver.calls == 0
        lease.confirmed.set()
        await telling
    assert [each["data"]["text"] for each in receiver.events] == ["#idea BTC"]


async def test_two_sources_tell_one_webhook_and_one_file_in_their_order_over_a_restart(tmp_path):
    """What one of the two has alone is told that alone; what is late by its place is said or left out."""
    async with Receiver() as receiver:
        text = routes_text(receiver.url)
        async with running(text, tmp_path) as (core, tell):
            first = says(ALICE, "#idea BTC")
            other = says(ALICE, "#idea ETH", chat_id=OTHER_GROUP)
            for message in (first, other, says(ALICE, "TP1 hit", to=first)):
                await core.intake.take([message])
            await tell()
            await core.intake.take([says(ALICE, "closed", to=other, chat_id=OTHER_GROUP)])
        async with running(text, tmp_path) as (core, tell):
            await core.intake.take([says(ALICE, "SL to entry", to=first)])
            await tell()

    assert receiver.wrong == []
    assert told(receiver.events) == [
        ("signal.created", "majors", "#idea BTC", True),
        ("signal.created", "scalps", "#idea ETH", True),
        ("update.created", "majors", "TP1 hit", False),
        ("update.created", "scalps", "closed", False),
        ("update.created", "majors", "SL to entry", False),
    ]
    assert told(lines(tmp_path / "one.jsonl")) == [
        ("signal.created", "majors", "#idea BTC", False),
        ("update.created", "majors", "TP1 hit", False),
        ("update.created", "majors", "SL to entry", False),
    ]
    assert told(lines(tmp_path / "both.jsonl")) == [
        ("update.created", "majors", "TP1 hit", False),
        ("update.created", "scalps", "closed", False),
        ("update.created", "majors", "SL to entry", False),
    ]
    assert (tmp_path / "both.jsonl").stat().st_mode & 0o777 == 0o600


async def test_what_waits_for_a_place_goes_along_when_its_address_is_another(tmp_path):
    """It is known by its name then; a chat is known by its id."""
    async with Receiver() as receiver:
        async with running(routes_text("https://example.org/gone"), tmp_path) as (core, _):
            await core.intake.take([says(ALICE, "#idea BTC")])
        moved = routes_text(receiver.url, one="other.jsonl")
        async with running(moved, tmp_path) as (_, tell):
            await tell()

    assert [each["data"]["text"] for each in receiver.events] == ["#idea BTC"]
    assert [each["data"]["text"] for each in lines(tmp_path / "other.jsonl")] == ["#idea BTC"]
    assert not (tmp_path / "one.jsonl").exists()


# ── the file ──


async def test_a_link_is_not_followed_and_what_is_no_file_is_not_written_to(tmp_path):
    target, link, pipe = tmp_path / "x", tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    target.write_text("its own\n", "utf-8")
    link.symlink_to(target)
    os.mkfifo(pipe)
    for path in (link, pipe):
        with pytest.raises(TargetUnavailable, match="this is a link or no file"):
            await EventFile(path, -1).tell(event(1))
        with pytest.raises(TargetUnavailable, match="this is a link or no file"):
            await EventFile(path, -1).look()
    assert target.read_text("utf-8") == "its own\n"


async def test_a_file_that_others_could_read_is_its_owners_alone_from_then_on(tmp_path):
    path = tmp_path / "signals.jsonl"
    path.touch(0o644)
    path.chmod(0o644)

    await EventFile(path, -1).tell(event(1))

    assert path.stat().st_mode & 0o777 == 0o600


# ── what operators see ──


async def test_check_looks_up_a_webhook_and_tells_it_nothing(tmp_path):
    async with Receiver() as receiver:
        found = await of_sink("hook", Endpoint(receiver.url, SECRET), -1)
    assert found.verdict is Verdict.OK
    assert found.text == "hook: the address of 127.0.0.1 may be connected to; it was not asked"
    assert receiver.calls == 0

    found = await of_sink("hook", Endpoint("http://[::1]:9/hook", SECRET), -1)
    assert found.text == "hook: the address of ::1 may be connected to; it was not asked"
    private = Webhook("https://hook.example/", SECRET, -1, resolver=Names("10.0.0.8"))
    with pytest.raises(TargetUnavailable, match=r"host hook\.example has a private address"):
        await private.look()
    nowhere = Webhook("https://hook.example/", SECRET, -1, resolver=Nowhere())
    with pytest.raises(RetryLater, match=r"host hook\.example is not known: no such name"):
        await nowhere.look()


class Nowhere(Names):
    """No name is known."""

    async def resolve(self, host, port=0, family=0):
        raise OSError(None, "no such name")


async def test_check_tells_whether_a_file_can_be_written_and_makes_none(tmp_path):
    path = tmp_path / "signals.jsonl"
    found = await of_sink("sheet", FileEndpoint(path, "signals.jsonl"), -1)
    assert (found.verdict, found.text) == (Verdict.OK, f"sheet: {path} can be written")
    assert not path.exists()

    missing = tmp_path / "none" / "signals.jsonl"
    found = await of_sink("sheet", FileEndpoint(missing, "x"), -1)
    assert found.verdict is Verdict.FAILURE
    assert found.text == f"sheet: {missing}: No such file or directory"


async def test_status_and_why_name_a_program_by_its_place_and_not_by_a_number(tmp_path):
    """And a chat by its number, as before."""
    text = routes_text("https://example.org/") + f"[[source.place]]\nchat = {TARGET}\n"
    signal = says(ALICE, "#idea ETH", chat_id=OTHER_GROUP)
    async with running(text, tmp_path) as (core, _):
        await core.intake.take([signal])
        posts = await core.store.ask(partial(post_records.posts_of, ref=signal.ref))
        await core.store.post_failed((await core.store.take_posts(posts[0].target))[0], "422")
        settings = wiring.settings(data_dir=tmp_path, source_chat_id=OTHER_GROUP)
        seen = [
            await status.status(core.store, settings, 1, now=NOON),
            await explain.why(core.store, settings, str(signal.id), now=NOON),
        ]

    said = "\n".join(" ".join(row) for row in (*status_shown.as_rows(seen[0]), *seen[1]))
    facts = status_shown.as_json(seen[0])["newest_signal"]["posts"]
    assert {each["place"]: each["chat"] for each in facts} == {
        "desk-2": None,
        "log-2": None,
        str(TARGET): TARGET,
    }
    assert "in desk-2: " in said
    assert "in log-2: " in said
    assert "to log-2 (post " in said
    assert not re.search(r"-[4-9][0-9]{18}", said)


def test_health_names_a_program_by_its_places_and_not_by_a_number(tmp_path):
    routes = listed(routes_text("https://example.org/"), tmp_path)
    hook = next(iter(routes.sinks))
    now = [float(NOON)]
    places = Places(routes.queues, names=routes.place_names, clock=lambda: now[0])
    now[0] += 3600

    (said,) = places.stalled({hook: Backlog(3, NOON)})
    assert said == "target hook, desk-2: nothing got done for 1 h, posts that wait: 3"
    facts = places.facts({})[0]
    assert (facts["chat"], facts["name"]) == (None, "hook, desk-2")
    assert str(hook) not in json.dumps(places.facts({}))
