"""Settings: what is taken, and the one line that says what is not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import Settings, parse_id
from bot.errors import SettingsError
from bot.models import AfterTtl, Everyone
from bot.routes import main_route
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
        ("SOURCE_CHAT_ID=@group", "SOURCE_CHAT_ID: '@group' is not a Telegram id"),
        ("API_ID=x", "API_ID: 'x' is not"),
        ("API_ID=-5", "API_ID: input should be greater than 0"),
        ("ADMIN_USERS=5,-1001", "ADMIN_USERS: -1001 is a chat: only users can give orders"),
        ("ALERT_SILENCE_HOURS=-1", "ALERT_SILENCE_HOURS: '-1' is not a number of hours"),
        ("FLOW_TTL_HOURS=three", "FLOW_TTL_HOURS: 'three' is not a number of hours"),
        ("FLOW_TTL_HOURS=0", "FLOW_TTL_HOURS: '0' is not a number of hours"),
        ("FLOW_TTL_HOURS=-1", "FLOW_TTL_HOURS: '-1' is not a number of hours"),
        ("FLOW_TTL_HOURS=nan", "FLOW_TTL_HOURS: 'nan' is not a number of hours"),
        ("FLOW_TTL_HOURS=1e9", "FLOW_TTL_HOURS: '1e9' is not a number of hours"),
        ("FLOW_AFTER_TTL=never", "FLOW_AFTER_TTL: input should be 'release' or 'owner'"),
        ("RELAY_EDITS=perhaps", "RELAY_EDITS: input should be a valid boolean"),
        ("LOG_LEVEL=LOUD", "LOG_LEVEL: input should be 'DEBUG', 'INFO'"),
        ("HEALTH_HOST=everywhere", "HEALTH_HOST: 'everywhere' is not an IP address"),
        ("HEALTH_PORT=70000", "HEALTH_PORT: input should be less than or equal to 65535"),
        ("DATABASE_URL=sqlite://", "DATABASE_URL: must be sqlite:///relative"),
        ("DATABASE_URL=sqlite:///:memory:", "DATABASE_URL: must be sqlite:///relative"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(load, line, complaint):
    with pytest.raises(SettingsError) as caught:
        load(line)

    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


def test_every_wrong_value_is_named_at_once(load):
    with pytest.raises(SettingsError) as caught:
        load("SOURCE_CHAT_ID=x", "LOG_FORMAT=y")

    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "SOURCE_CHAT_ID",
        "LOG_FORMAT",
    ]


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

    assert load(*lines, "WEBHOOK_ALLOW_PRIVATE=true").webhook.allow_private
