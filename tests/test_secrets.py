"""No configured secret in anything the bot writes, at any level, whatever goes wrong.

Every program that a test starts on the loopback server runs at DEBUG, and `Program` looks through
all that it wrote; here are the programs that get into trouble.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import struct
import sys

import pytest
import structlog
from pyrogram import raw

from bot import logs
from bot.config import Settings
from bot.errors import SettingsError
from bot.telegram.credentials import Credentials
from tests.loopback import FloodWait, LoopbackTelegram, RpcError
from tests.rows import sql
from tests.stage import SEND, Stage

pytestmark = pytest.mark.heavy

HALF = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw8"
TOKEN = f"42:{HALF}"
HASH = "5ec2e75a11ca7a2b0b1e0f2c0ffee042"
KEY = bytes(range(256))
SESSION = base64.urlsafe_b64encode(struct.pack(">BI?256sQ?", 2, 1, False, KEY, 42, True)).decode()


def test_what_an_account_logs_in_with_shows_no_secret(tmp_path):
    """As in a traceback that shows the values of variables."""
    for secret in ({"bot_token": TOKEN}, {"session_string": SESSION}):
        shown = repr(Credentials(1, HASH, tmp_path, **secret))
        assert not [each for each in (HALF, HASH, SESSION) if each in shown]


# ── the pipe on its own ───────────────────────────────────────────────────────


@pytest.fixture
def pipe():
    """Standard error as the bot writes it, and everything put back afterwards."""
    root, pyrogram = logging.getLogger(), logging.getLogger("pyrogram")
    before = (sys.stdout, sys.stderr, root.handlers[:], root.level, pyrogram.level)
    shown = structlog.get_config()
    out = io.StringIO()

    def configure(level="DEBUG", style="json"):
        sys.stderr = sys.stdout = out
        logs.configure(level, style)
        logs.configure(level, style, secrets=[TOKEN, HASH, SESSION.rstrip("=")])
        return out

    yield configure
    sys.stdout, sys.stderr, root.handlers[:], level, pyrogram_level = before
    root.setLevel(level)
    pyrogram.setLevel(pyrogram_level)
    logging.captureWarnings(capture=False)
    structlog.configure(**shown)


FORMS = {
    "the token": TOKEN,
    "its secret half": HALF,
    "most of it": HALF[3:],
    "the token in an address": f"https://x/bot{TOKEN.replace(':', '%3A')}/getMe",
    "the hash": HASH,
    "the session": SESSION,
    "the session, unpadded": SESSION.rstrip("="),
    "the session, cut": SESSION[40:300],
    "the key in hexadecimal": KEY.hex(),
    "the key in capitals": KEY.hex().upper(),
    "the key as Python shows it": repr(KEY),
    "the key in base64": base64.b64encode(KEY).decode(),
    "the key as a number": str(int.from_bytes(KEY)),
}


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_no_form_of_a_secret_gets_through_the_pipe(pipe, form, style):
    out = pipe(style=style)
    structlog.get_logger().debug("ours", value=form)
    logging.getLogger("pyrogram.session").debug("theirs: %s", form)
    logging.getLogger("asyncio").error("another's: %r", form)
    try:
        int(form, base=2)
    except ValueError:
        structlog.get_logger().exception("a traceback")
        logging.getLogger("pyrogram").exception("another")
        sys.excepthook(*sys.exc_info())
    print("printed", form)
    print("printed", form, file=sys.stderr)
    sys.stderr.writelines([form, "\n"])

    written = out.getvalue()
    assert written.count("[secret]") >= 9
    for start in range(0, len(form) - 16, 16):
        assert form[start : start + 31] not in written


@pytest.mark.parametrize("secret", [TOKEN, HALF, HASH, SESSION.rstrip("="), KEY.hex()])
def test_of_a_whole_secret_nothing_is_left(pipe, secret):
    """The second half of a token is one by itself: whoever has it needs no more than the bot's id."""
    out = pipe()
    logging.getLogger("pyrogram").error("<%s>", secret)

    assert json.loads(out.getvalue())["event"] == "<[secret]>"


def test_libraries_speak_through_our_pipe(pipe):
    out = pipe()
    logging.getLogger("pyrogram.session.session").debug("Sent: %s", 17)

    line = json.loads(out.getvalue())
    assert (line["event"], line["level"]) == ("Sent: 17", "debug")
    assert line["logger"] == "pyrogram.session.session"
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("level", ["INFO", "WARNING"])
def test_pyrogram_is_quiet_unless_somebody_asks_for_debug(pipe, level):
    out = pipe(level=level)
    logging.getLogger("pyrogram.session").info("Session started")
    logging.getLogger("a library").info("chatter")
    logging.getLogger("pyrogram.session").warning("Connection failed")

    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == [
        "Connection failed"
    ]


def test_a_word_is_not_a_secret(pipe):
    out = io.StringIO()
    logs.configure("INFO", "json", stream=out, secrets=["42:secret", ""])
    structlog.get_logger().info("a secret", number=42)
    pipe()

    assert "a secret" in out.getvalue()


def test_settings_do_not_show_their_secrets():
    settings = Settings(api_hash=HASH, bot_token=TOKEN, session_string=SESSION, _env_file=None)

    assert settings.secrets == (HASH, TOKEN, SESSION)
    for shown in (repr(settings), str(settings), settings.model_dump_json(), f"{settings!r:s}"):
        assert not any(secret in shown for secret in settings.secrets)


@pytest.mark.parametrize("name", ["API_ID", "SOURCE_CHAT_ID", "TARGET_CHAT_ID", "FLOW_TTL_HOURS"])
@pytest.mark.parametrize("secret", [TOKEN, HASH, SESSION])
def test_a_secret_on_the_wrong_line_is_not_repeated(tmp_path, name, secret):
    (tmp_path / ".env").write_text(f"{name}={secret}\n")
    (tmp_path / ".env").chmod(0o600)

    with pytest.raises(SettingsError, match=name) as caught:
        Settings.load({}, env_file=tmp_path / ".env")
    assert secret not in str(caught.value)
    assert HALF not in str(caught.value)


# ── the program in trouble ────────────────────────────────────────────────────


@pytest.fixture
async def stage(tmp_path):
    async with LoopbackTelegram() as telegram:
        stage = Stage(telegram, tmp_path, token=TOKEN)
        yield stage


async def finds_nothing(program):
    if program.returncode is None:
        program.terminate()
    await program.wait()  # which looks for the secrets
    assert HALF not in program.output
    assert TOKEN not in program.output
    assert "[secret]" in program.output, "nothing was there to be blacked out"


async def test_no_secret_is_written_when_all_goes_well(stage):
    program = await stage.launch()
    await program.wait_output('"started"')
    await stage.alice.sends(stage.group, "#idea")
    await stage.shows("#idea")

    await finds_nothing(program)
    assert "Sent: " in program.output  # Pyrogram's own words, the login among them


LOGINS = [
    RpcError(400, "ACCESS_TOKEN_INVALID"),
    RpcError(400, "API_ID_INVALID"),
    RpcError(500, f"INTERNAL {TOKEN}"),
    FloodWait(3),
]


@pytest.mark.parametrize("fault", LOGINS, ids=lambda fault: fault.text[:20])
async def test_no_secret_is_written_when_the_login_fails(stage, fault):
    stage.telegram.faults.on(raw.functions.auth.ImportBotAuthorization, fault, times=None)
    program = await stage.launch()
    ending = "error: " if fault.code == 400 else "not connected yet"
    await program.wait_output(ending, timeout=30)

    await finds_nothing(program)


async def test_no_secret_is_written_when_a_session_is_void(stage):
    session = stage.telegram.session_string(stage.bot)
    stage.telegram.faults.revoke(stage.bot)
    for given in (session, session[:-9]):
        program = await stage.launch(BOT_TOKEN="", SESSION_STRING=given)
        await program.wait_output("SESSION_STRING", timeout=30)
        program.kill()
        await program.wait()
        assert given not in program.output


async def test_no_secret_is_written_when_the_database_fails(stage):
    program = await stage.launch()
    await program.wait_output('"started"')
    sql(stage.directory / "data" / "signals.db", "DROP TABLE posts")
    await stage.alice.sends(stage.group, "#idea")
    await program.wait_output("no such table", timeout=20)

    await finds_nothing(program)


async def test_no_secret_is_written_when_sending_fails(stage):
    stage.telegram.faults.on(SEND, RpcError(400, f"BAD {TOKEN}"), times=1)
    stage.telegram.faults.on(SEND, RpcError(500, "INTERNAL"), times=1)
    stage.telegram.faults.on(SEND, RpcError(403, "CHAT_WRITE_FORBIDDEN"), times=1)
    program = await stage.launch()
    await program.wait_output('"started"')
    for number in range(3):
        await stage.alice.sends(stage.group, f"#idea {number}")
    await program.wait_output("takes nothing", timeout=20)

    await finds_nothing(program)
