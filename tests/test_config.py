"""Settings: what is taken, and the one line that says what is not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import Settings, require, set_outside
from bot.errors import SettingsError
from bot.models import AfterTtl, Everyone
from bot.routes import main_route, webhook_of
from bot.setting_chats import parse_id
from tests.texts import EMOJI, TWO_WORDS, UNDERSCORE


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load settings from the lines of a `.env`, in an environment that says nothing."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def load(*lines, **overrides):
        file = tmp_path / ".env"
        file.write_text("\n".join(lines), encoding="utf-8")
        file.chmod(0o600)
        return Settings.load(overrides, env_file=file)

    return load


def test_nothing_needs_to_be_set(load, tmp_path):
    settings = load()

    assert settings == Settings.load({}, env_file=tmp_path / "missing")
    assert settings.flow_ttl_hours == timedelta(hours=72)
    assert settings.flow_after_ttl is AfterTtl.RELEASE
    assert settings.signal_markers == ("#идея", "#idea")
    assert settings.source_allowed_users is None
    assert (settings.relay_edits, settings.relay_deletes, settings.relay_mentions) == (
        True,
        True,
        False,
    )
    assert (settings.log_level, settings.log_format, settings.health_port) == ("INFO", "auto", None)
    assert (settings.admin_users, settings.signal_patterns, settings.target_chat_id) == ((), (), ())
    assert settings.database == Path("data/signals.db")
    assert settings.flow_cache == Path("data/flows")


def test_every_setting_of_the_example_is_known_and_valid(load):
    """Whoever copies `.env.example` and uncomments everything gets a bot that starts."""
    example = Path(__file__).parent.parent.joinpath(".env.example").read_text(encoding="utf-8")
    lines = [
        line.removeprefix("#").strip() if line.startswith("#") and "=" in line else line
        for line in example.splitlines()
        if not line.startswith("# ")
    ]

    settings = load(*lines)

    assert {line.split("=")[0].lower() for line in lines if "=" in line} == set(
        Settings.model_fields
    )
    assert settings.source_allowed_users == (123456789, -1001234567890)
    assert settings.signal_patterns == (EMOJI, UNDERSCORE, TWO_WORDS)


def test_lists_are_split_and_duplicates_folded(load):
    settings = load(
        "SOURCE_ALLOWED_USERS=5, 7,5,-1001234567890 ,",
        "TARGET_CHAT_ID=-1001,-1002",
        "SIGNAL_MARKERS='#идея, #idea,#идея'",
        r"SIGNAL_PATTERNS='a\d;;b,c'",
    )

    assert settings.source_allowed_users == (5, 7, -1001234567890)
    assert settings.target_chat_id == ((-1001, 0), (-1002, 0))
    assert settings.signal_markers == ("#идея", "#idea")
    assert settings.signal_patterns == (r"a\d", "b,c")


def test_patterns_may_stand_one_on_a_line(load):
    assert load("SIGNAL_PATTERNS='one", "two'").signal_patterns == ("one", "two")


def test_an_empty_line_of_env_sets_nothing(load):
    assert load("API_ID=", "BOT_TOKEN=", "TARGET_CHAT_ID=", "HEALTH_PORT=", "DATA_DIR=") == load()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("SOURCE_ALLOWED_USERS=", "SOURCE_ALLOWED_USERS: is set but empty"),
        ("SOURCE_ALLOWED_USERS=' , '", "SOURCE_ALLOWED_USERS: is set but empty"),
        (
            "SOURCE_ALLOWED_USERS=5,everyone",
            "SOURCE_ALLOWED_USERS: says `everyone` and names people",
        ),
        ("SOURCE_ALLOWED_USERS=all", "SOURCE_ALLOWED_USERS: 'all' is not a Telegram id"),
        ("SOURCE_ALLOWED_USERS=5,bob", "SOURCE_ALLOWED_USERS: 'bob' is not a Telegram id"),
        ("SIGNAL_MARKERS=", "SIGNAL_MARKERS: is set but empty"),
        ("SOURCE_CHAT_ID=group", "SOURCE_CHAT_ID: 'group' is not a Telegram id"),
        ("SOURCE_CHAT_ID=@x", "SOURCE_CHAT_ID: that is not a chat: give an id such as"),
        ("TARGET_CHAT_ID=t.me/+AbC", "TARGET_CHAT_ID: an invitation does not say which chat"),
        ("API_ID=x", "API_ID: 'x' is not"),
        ("API_ID=-5", "API_ID: '-5' is not an API id: it is a number such as 1234567, and stands"),
        ("API_ID=0", "API_ID: '0' is not an API id"),
        ("API_ID=99999999999", "API_ID: '99999999999' is not an API id"),
        ("ADMIN_USERS=5,-1001", "ADMIN_USERS: -1001 is a chat: only users can give orders"),
        ("ALERT_SILENCE_HOURS=-1", "ALERT_SILENCE_HOURS: '-1' is not a number of hours"),
        ("FLOW_TTL_HOURS=three", "FLOW_TTL_HOURS: 'three' is not a number of hours"),
        ("FLOW_TTL_HOURS=0", "FLOW_TTL_HOURS: '0' is not a number of hours"),
        ("FLOW_TTL_HOURS=-1", "FLOW_TTL_HOURS: '-1' is not a number of hours"),
        ("FLOW_TTL_HOURS=nan", "FLOW_TTL_HOURS: 'nan' is not a number of hours"),
        ("FLOW_TTL_HOURS=1e9", "FLOW_TTL_HOURS: '1e9' is not a number of hours"),
        ("FLOW_AFTER_TTL=never", "FLOW_AFTER_TTL: input should be 'release' or 'owner'"),
        ("RELAY_EDITS=perhaps", "RELAY_EDITS: 'perhaps' is neither true nor false: write one"),
        ("RELAY_DELETES=2", "RELAY_DELETES: '2' is neither true nor false"),
        ("RELAY_MENTIONS=да", "RELAY_MENTIONS: 'да' is neither true nor false"),
        ("LOG_LEVEL=LOUD", "LOG_LEVEL: input should be 'DEBUG', 'INFO'"),
        ("LOG_FORMAT=xml", "LOG_FORMAT: input should be 'auto', 'console' or 'json'"),
        ("HEALTH_HOST=everywhere", "HEALTH_HOST: 'everywhere' is not an IP address"),
        ("HEALTH_PORT=70000", "HEALTH_PORT: '70000' is not a port: give a number from 1 to"),
        ("HEALTH_PORT=0", "HEALTH_PORT: '0' is not a port"),
        ("HEALTH_PORT=http", "HEALTH_PORT: 'http' is not a port"),
        ("DATABASE_URL=sqlite://", "DATABASE_URL: must be sqlite:///relative"),
        ("DATABASE_URL=sqlite:///:memory:", "DATABASE_URL: must be sqlite:///relative"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(load, line, complaint):
    with pytest.raises(SettingsError) as caught:
        load(line)

    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_every_wrong_value_is_named_at_once(load, tmp_path):
    """A misspelt name is one of them."""
    with pytest.raises(SettingsError) as caught:
        load("SOURCE_CHAT_ID=x", "LOG_FORMAT=y", "RELAY_EDITS=z", "SOURCE_ALOWED_USERS=5")

    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        f"SOURCE_ALOWED_USERS in {tmp_path / '.env'} is not a setting",
        "SOURCE_CHAT_ID",
        "RELAY_EDITS",
        "LOG_FORMAT",
    ]


def test_words_count_in_any_case(load):
    settings = load("LOG_LEVEL=debug", "LOG_FORMAT=JSON", "FLOW_AFTER_TTL=Owner", "RELAY_EDITS=No")

    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")
    assert (settings.flow_after_ttl, settings.relay_edits) == (AfterTtl.OWNER, False)


def needed(**changed):
    return Settings.model_validate(
        {
            "api_id": "1234567",
            "api_hash": "0123456789abcdef" * 2,
            "bot_token": "42:secret_of_the_bot",
            "source_chat_id": "-1001",
            "target_chat_id": "-1002",
            "source_allowed_users": "everyone",
            **changed,
        }
    )


def test_what_telegram_would_refuse_is_told_before_it_is_asked():
    """Each on a line of its own, and none with what may be a secret in it."""
    require(needed())
    with pytest.raises(SettingsError) as caught:
        require(needed(api_hash="topsecret", bot_token="secret@bot"))

    hash_line, token_line = str(caught.value).splitlines()
    assert hash_line == (
        "API_HASH: an API hash has 32 digits and letters from a to f, "
        "and stands on https://my.telegram.org"
    )
    assert token_line == (
        "BOT_TOKEN: a bot's token looks like 123456789:AbC…, and @BotFather gives it"
    )
    with pytest.raises(SettingsError, match=r"^SESSION_STRING: a session string of"):
        require(needed(bot_token="", session_string="secret" * 20))


@pytest.mark.parametrize(
    ("encoding", "complaint"),
    [
        ("utf-16", "it is UTF-16 text or none: save it as UTF-8"),
        ("utf-16-le", "it is UTF-16 text or none: save it as UTF-8"),
        ("utf-16-be", "it is UTF-16 text or none: save it as UTF-8"),
        ("utf-32", "it is UTF-16 text or none: save it as UTF-8"),
        ("cp1251", "line 2 is not UTF-8 text: save the file as UTF-8"),
        ("koi8-r", "line 2 is not UTF-8 text: save the file as UTF-8"),
        ("latin-1", "line 2 is not UTF-8 text: save the file as UTF-8"),
    ],
)
def test_an_env_file_in_another_encoding_says_which_is_wanted(tmp_path, encoding, complaint):
    file = tmp_path / ".env"
    text = "#é" if encoding == "latin-1" else "#идея"
    file.write_bytes(f"LOG_LEVEL=INFO\nSIGNAL_MARKERS='{text}'\n".encode(encoding))
    file.chmod(0o600)

    with pytest.raises(SettingsError) as caught:
        Settings.load({}, env_file=file)

    assert str(caught.value) == f"{file}: cannot be read: {complaint}"


def test_a_directory_in_the_place_of_the_env_file_is_named_as_one(tmp_path):
    """Docker makes one; that others may look into it is not what is to be mended."""
    file = tmp_path / ".env"
    file.mkdir(mode=0o755)

    with pytest.raises(SettingsError) as caught:
        Settings.load({}, env_file=file)

    assert str(caught.value) == (
        f"{file}: cannot be read: it is a directory: put a file in its place"
    )


@pytest.mark.parametrize(
    ("second", "lines"),
    [
        ("BOT_TOKEN=43:other", "line 4 of {} says BOT_TOKEN otherwise than line 1 does: keep one of them"),
        ("bot_token=43:other", "line 4 of {} says bot_token otherwise than line 1 does: keep one of them"),
        ("BOT_TOKEN=", "line 4 of {} says BOT_TOKEN otherwise than line 1 does: keep one of them"),
        ("BOT_TOKEN=42:secret", None),
        ("#BOT_TOKEN=43:other", None),
    ],
)  # fmt: skip
def test_a_setting_that_stands_twice_says_one_thing_or_is_refused(tmp_path, second, lines):
    """The last would count, and who changed the first would wonder. Neither value is shown."""
    file = tmp_path / ".env"
    file.write_text(f"BOT_TOKEN=42:secret\nFOO=1\nFOO=2\n{second}\n")
    file.chmod(0o600)

    if lines is None:
        assert Settings.load({}, env_file=file).bot_token.get_secret_value() == "42:secret"
        return
    with pytest.raises(SettingsError) as caught:
        Settings.load({}, env_file=file)
    assert str(caught.value) == lines.format(file)


def test_a_mark_before_utf_8_and_ends_of_lines_of_windows_are_no_trouble(tmp_path):
    file = tmp_path / ".env"
    file.write_bytes("\ufeffSIGNAL_MARKERS='#цель'\r\nRELAY_EDITS=false\r\n".encode())
    file.chmod(0o600)

    settings = Settings.load({}, env_file=file)

    assert (settings.signal_markers, settings.relay_edits) == (("#цель",), False)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("API_HASH: secret", "is not NAME=value: is there an `=`, and is every quote closed?"),
        ("SIGNAL_MARKERS='#idea", "is not NAME=value: is there an `=`, and is every quote closed?"),
        ('BOT_TOKEN="42:secret', "is not NAME=value: is there an `=`, and is every quote closed?"),
        ("BOT_TOKEN", "has no `=` behind BOT_TOKEN: write BOT_TOKEN=value"),
    ],
)
def test_a_line_of_env_that_sets_nothing_is_named_by_its_number(load, line, what, capfd):
    """The library passes over it, and the bot would start with what was not meant."""
    with pytest.raises(SettingsError) as caught:
        load("# our settings", "", "LOG_LEVEL=INFO", "", line, "RELAY_EDITS=true")

    assert str(caught.value).startswith("line 5 of ")
    assert str(caught.value).endswith(f".env {what}")
    assert "secret" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_directory_in_the_place_of_env_is_named(tmp_path):
    """Docker makes one of a file that is to be mounted and is not there."""
    (tmp_path / ".env").mkdir(mode=0o700)

    with pytest.raises(SettingsError, match="it is a directory: put a file in its place"):
        Settings.load({}, env_file=tmp_path / ".env")


@pytest.mark.parametrize(
    "line",
    ["BOT_TOKEN=42:secret", "SESSION_STRING=secret", "API_HASH=secret"],
)
def test_a_secret_shows_in_no_repr_and_no_error(load, line):
    assert "secret" not in repr(load(line)).replace("webhook_secret", "")
    with pytest.raises(SettingsError) as caught:
        load(line, "DATABASE_URL=postgresql://user:secret@host/db", "API_ID=x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///x/y.db", "x/y.db"),
        ("sqlite+aiosqlite:////var/y.db", "/var/y.db"),
    ],
)
def test_the_database_may_lie_elsewhere(load, url, path):
    assert load(f"DATABASE_URL={url}").database == Path(path)


def test_silence_is_told_after_a_day_unless_said_otherwise(load):
    assert load().alert_silence_hours == timedelta(hours=24)
    assert load("ALERT_SILENCE_HOURS=1.5").alert_silence_hours == timedelta(minutes=90)
    assert load("ALERT_SILENCE_HOURS=0").alert_silence_hours is None
    assert load("ALERT_SILENCE_HOURS=").alert_silence_hours is None


def test_health_is_told_to_this_machine_alone_unless_said_otherwise(load):
    assert load("HEALTH_PORT=8080").health_host == "127.0.0.1"
    assert load("HEALTH_PORT=8080", "HEALTH_HOST=0.0.0.0").health_host == "0.0.0.0"
    assert load("HEALTH_HOST= ::1 ").health_host == "::1"


def test_a_misspelt_setting_is_not_passed_over(load):
    """Unseen, a misspelt allow-list would permit everyone."""
    with pytest.raises(SettingsError, match="did you mean SOURCE_ALLOWED_USERS"):
        load("SOURCE_ALOWED_USERS=5")


@pytest.mark.parametrize("name", ["SOURCE_ALLOWED_USER", "ALLOWED_USERS"])
def test_a_misspelt_setting_of_the_environment_is_not_passed_over(load, monkeypatch, name):
    """Systemd and compose hand the lines of a file on as the environment."""
    monkeypatch.setenv(name, "5")

    with pytest.raises(
        SettingsError,
        match=f"{name} in the environment is not a setting: did you mean SOURCE_ALLOWED_USERS",
    ) as caught:
        load("SOURCE_ALLOWED_USERS=everyone")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["everyone", "Everyone", " EVERYONE , "])
def test_that_everyone_may_post_is_said_in_a_word(load, text):
    """And is not what is meant where nothing is said."""
    assert load(f"SOURCE_ALLOWED_USERS='{text}'").source_allowed_users is Everyone.EVERYONE
    assert load(source_allowed_users=Everyone.EVERYONE).permitted is None
    assert load("SOURCE_ALLOWED_USERS=5,-1001").permitted == {5, -1001}
    assert load().source_allowed_users is None


def test_lines_of_other_programs_are_none_of_our_business(load):
    assert load("COMPOSE_PROJECT_NAME=x", "TZ=UTC") == load()


def test_an_env_file_that_is_not_text_is_an_error(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    (tmp_path / ".env").chmod(0o600)

    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load({}, env_file=tmp_path / ".env")


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(load, monkeypatch):
    monkeypatch.setenv("FLOW_TTL_HOURS", "5")

    assert load("FLOW_TTL_HOURS=7").flow_ttl_hours == timedelta(hours=5)
    assert load(flow_ttl_hours=timedelta(hours=1)).flow_ttl_hours == timedelta(hours=1)


def test_settings_do_not_change(load):
    with pytest.raises(ValueError, match="frozen"):
        load().log_level = "DEBUG"


@pytest.mark.parametrize(
    "text",
    ["0", "00", "01", "+5", "5_0", "٣", "５", "5.0", "-0", "- 5", "1e5", "", "9223372036854775808"],
)
def test_an_id_is_what_telegram_prints_and_nothing_else(text):
    with pytest.raises(ValueError, match="not a Telegram id"):
        parse_id(text)


@given(st.integers(-(2**63) + 1, 2**63 - 1).filter(bool))
def test_every_id_of_64_bits_is_taken(number):
    assert parse_id(str(number)) == number


@given(st.text())
def test_no_text_is_an_id_by_accident(text):
    try:
        number = parse_id(text)
    except ValueError:
        return
    assert str(number) == text.strip()


@pytest.mark.parametrize("line", ["TARGET_CHAT_ID=,", "ADMIN_USERS=' , '"])
def test_a_list_that_names_nobody_is_a_mistake(load, line):
    with pytest.raises(SettingsError, match="is set but empty: name at least one id"):
        load(line)


@pytest.mark.parametrize(("length", "shown"), [(20, True), (21, False)])
def test_a_wrong_value_is_shown_unless_it_is_as_long_as_a_secret(load, length, shown):
    value = "x" * length
    with pytest.raises(SettingsError) as caught:
        load(f"API_ID={value}")
    assert (value in str(caught.value)) is shown
    assert (f"a text of {length} characters" in str(caught.value)) is not shown


def test_what_the_environment_sets_is_told_apart(monkeypatch):
    monkeypatch.setenv("API_ID", "5")
    monkeypatch.setenv("API_HASH", "")
    monkeypatch.delenv("BOT_TOKEN", raising=False)

    assert set_outside(["api_id", "api_hash", "bot_token"]) == []
    assert set_outside(["API_ID", "API_HASH", "BOT_TOKEN"]) == ["API_ID"]


def test_what_may_be_another_programs_counts_in_a_file_of_ours_alone(load, monkeypatch):
    """Many programs have an ADMIN_USER; ours has ADMIN_USERS."""
    monkeypatch.setenv("ADMIN_USER", "5")
    load()
    with pytest.raises(SettingsError, match="did you mean ADMIN_USERS"):
        load("ADMIN_USER=5")


WHOLE = (
    "API_ID=5",
    f"API_HASH={'0f' * 16}",
    f"BOT_TOKEN=123456789:{'A' * 35}",
    "SOURCE_CHAT_ID=-1001",
    "TARGET_CHAT_ID=-1002,-1003",
    "SOURCE_ALLOWED_USERS=everyone",
)


def test_with_all_that_is_needed_there_is_nothing_to_complain_of(load):
    require(load(*WHOLE))
    same = [line.replace("-1003", "-1001") for line in WHOLE]
    with pytest.raises(SettingsError, match="TARGET_CHAT_ID: -1001 is SOURCE_CHAT_ID, too"):
        require(load(*same))


@pytest.mark.parametrize("number", range(6))
def test_what_is_missing_is_named_with_where_it_comes_from(load, number):
    name = WHOLE[number].partition("=")[0]
    with pytest.raises(SettingsError, match=name) as caught:
        require(load(*WHOLE[:number], *WHOLE[number + 1 :]))
    others = [line.partition("=")[0] for line in WHOLE if not line.startswith(name)]
    assert not any(f"  {other} " in str(caught.value) for other in others)


# ── a webhook ──

WEBHOOK_SECRET = "whsec_" + "A" * 40


def test_a_webhook_is_a_place_of_the_one_route(load):
    told = load("WEBHOOK_URL=https://example.org/hook", f"WEBHOOK_SECRET={WEBHOOK_SECRET}")
    (place,) = main_route(told).places

    assert (place.label, place.endpoint.url) == ("webhook", "https://example.org/hook")
    assert (place.endpoint.secret, place.endpoint.allow_private) == (WEBHOOK_SECRET, False)
    assert main_route(told).targets == ()
    assert {WEBHOOK_SECRET, "https://example.org/hook"} <= set(told.secrets)
    assert "example.org" not in repr(place)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["WEBHOOK_URL=https://example.org/hook"], "WEBHOOK_URL and WEBHOOK_SECRET: neither is"),
        ([f"WEBHOOK_SECRET={WEBHOOK_SECRET}"], "WEBHOOK_URL and WEBHOOK_SECRET: neither is"),
        (
            ["WEBHOOK_URL=http://example.org/", "WEBHOOK_SECRET=x"],
            "WEBHOOK_URL: what is not on this",
        ),
        (
            ["WEBHOOK_URL=https://10.0.0.8/", f"WEBHOOK_SECRET={WEBHOOK_SECRET}"],
            "WEBHOOK_URL: this is",
        ),
        (["WEBHOOK_URL=https://example.org/", "WEBHOOK_SECRET=abc"], "WEBHOOK_SECRET: a secret is"),
    ],
)
def test_a_webhook_that_cannot_be_is_named_and_not_shown(load, lines, said):
    with pytest.raises(SettingsError) as caught:
        main_route(load(*lines))

    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    assert "10.0.0.8" not in str(caught.value)


def test_a_webhook_in_a_private_network_is_allowed_by_its_own_setting(load):
    lines = ["WEBHOOK_URL=https://10.0.0.8/", f"WEBHOOK_SECRET={WEBHOOK_SECRET}"]

    assert webhook_of(load(*lines, "WEBHOOK_ALLOW_PRIVATE=true")).allow_private
