"""Settings: the one reader of the environment and of `.env`.

Every value is checked once, here, and frozen. What only the live bot needs may be missing,
because `replay` and `import` do without it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.endpoints import Endpoint, check_secret
from bot.errors import SettingsError
from bot.models import (
    EVERYONE,
    GENERAL,
    Address,
    AfterTtl,
    AuthorId,
    ChatId,
    Everyone,
    has_own_box,
)
from bot.spelling import meant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic_core import ErrorDetails

DEFAULT_MARKERS: Final = ("#идея", "#idea")
DEFAULT_TTL: Final = timedelta(hours=72)

# Exactly what Telegram prints: no plus sign, underscore, leading zero or foreign digit, all of
# which `int()` would take.
_ID: Final = re.compile(r"-?[1-9][0-9]{0,18}")
_TOPIC: Final = re.compile(r"[1-9][0-9]{0,9}")
_MAX_ID: Final = 2**63 - 1
_MAX_TTL_HOURS: Final = 24 * 3650
EMPTY_SAYS_SOMETHING: Final = {"source_allowed_users", "signal_markers", "alert_silence_hours"}
POSTERS: Final = "list the ids of those who may post, or write `everyone`"
LONGEST_SHOWN: Final = 20  # characters; an id has as many at most, and no secret as few
# What a live bot needs, and where it comes from.
NEEDED: Final = {
    "API_ID": "from https://my.telegram.org",
    "API_HASH": "from https://my.telegram.org",
    "BOT_TOKEN": "from @BotFather (or SESSION_STRING, to run as a user)",
    "SOURCE_CHAT_ID": "the id of the group to read, such as -1001234567890",
    "TARGET_CHAT_ID": "the id of the chat to post to",
    "SOURCE_ALLOWED_USERS": "the ids of those who may post signals, or the word everyone",
}
WHO_MAY_POST: Final = (
    "SOURCE_ALLOWED_USERS is not set: list the ids of those who may post, or write "
    "SOURCE_ALLOWED_USERS=everyone to let everybody in the source post signals"
)


def parse_id(text: str) -> int:
    """A user or chat id. Raises `ValueError` with what is wrong."""
    text = text.strip()
    if not _ID.fullmatch(text) or abs(int(text)) > _MAX_ID:
        raise ValueError(
            f"{_shown(text)} is not a Telegram id (a whole number such as -1001234567890)"
        )
    return int(text)


def parse_ids(text: str) -> tuple[int, ...]:
    """Comma-separated ids in their order, each once. Raises `ValueError`, also if there is none."""
    ids = tuple(dict.fromkeys(parse_id(part) for part in text.split(",") if part.strip()))
    if not ids:
        raise ValueError("is set but empty: name at least one id, or leave the setting out")
    return ids


def parse_address(text: str) -> Address:
    """A chat's id, and a topic of it behind a `#` where one is meant. Raises `ValueError`."""
    chat, told, topic = text.partition("#")
    found = ChatId(parse_id(chat))
    if not told:
        return Address(found)
    if not _TOPIC.fullmatch(topic.strip()):
        raise ValueError(f"{_shown(text.strip())}: behind # stands the number of a topic")
    if not has_own_box(found):
        raise ValueError(
            f"{_shown(text.strip())}: only a supergroup, whose id is -100…, has topics"
        )
    return Address(found, int(topic))


def parse_targets(text: str) -> tuple[Address, ...]:
    """Comma-separated, each once. Raises `ValueError`, also if there is none.

    What is posted to General is posted to no topic.
    """
    parts = [parse_address(part) for part in text.split(",") if part.strip()]
    if not parts:
        raise ValueError("is set but empty: name at least one id, or leave the setting out")
    named = (Address(chat, 0 if topic == GENERAL else topic) for chat, topic in parts)
    return tuple(dict.fromkeys(named))


def parse_ttl(text: str) -> timedelta:
    """Hours, whole or with a decimal point. Raises `ValueError`."""
    try:
        hours = Decimal(text.strip())
    except InvalidOperation:
        hours = Decimal(0)
    if not (hours.is_finite() and 0 < hours <= _MAX_TTL_HOURS):
        raise ValueError(f"{_shown(text)} is not a number of hours above 0 (72 is three days)")
    return timedelta(hours=float(hours))


def parse_posters(text: str) -> tuple[int, ...] | Everyone:
    """Ids, or the one word for all of them. Raises `ValueError`, also if there is neither."""
    words = {part.strip().casefold() for part in text.split(",")} - {""}
    if not words:
        raise ValueError(f"is set but empty: {POSTERS}")
    if EVERYONE.value not in words:
        return parse_ids(text)
    if len(words) > 1:
        raise ValueError(f"says `{EVERYONE.value}` and names people, too: {POSTERS}")
    return EVERYONE


def _people(text: str) -> tuple[int, ...]:
    ids = parse_ids(text)
    chats = [each for each in ids if each < 0]
    if chats:
        raise ValueError(f"{chats[0]} is a chat: only users can give orders")
    return ids


def _silence(text: str) -> timedelta | None:
    return None if text.strip() in {"", "0"} else parse_ttl(text)


def _shown(text: str) -> str:
    """A wrong value, unless it is as long as a token that was put on the wrong line."""
    return repr(text) if len(text) <= LONGEST_SHOWN else f"a text of {len(text)} characters"


def _patterns(text: str) -> tuple[str, ...]:
    return _split(r"\n|;;", text)


def _split(separators: str, text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in re.split(separators, text))
    return tuple(dict.fromkeys(part for part in parts if part))


def _markers(text: str) -> tuple[str, ...]:
    markers = _split(",", text)
    if not markers:
        raise ValueError("is set but empty: name at least one marker, or leave the setting out")
    return markers


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address such as 127.0.0.1 or 0.0.0.0") from None


def _database(url: str) -> Path:
    found = re.fullmatch(r"sqlite(?:\+aiosqlite)?:///(?P<path>.+)", url.strip())
    if found is None or found["path"] == ":memory:":
        # The value is not repeated: a URL for a database server holds a password.
        raise ValueError("must be sqlite:///relative/path.db or sqlite:////absolute/path.db")
    return Path(found["path"]).expanduser()


def _from(parse: Callable[[str], object]) -> BeforeValidator:
    """Parse text, and let through what code passes as the value itself."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


class Settings(BaseSettings):
    """The settings of README's table, by the same names in lower case."""

    model_config = SettingsConfigDict(
        env_file_encoding="utf-8", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    api_id: Annotated[Annotated[int, Field(gt=0)] | None, _from(parse_id)] = None
    api_hash: SecretStr | None = None
    bot_token: SecretStr | None = None
    session_string: SecretStr | None = None

    source_chat_id: Annotated[ChatId | None, _from(parse_id)] = None
    target_chat_id: Annotated[tuple[Address, ...], NoDecode, _from(parse_targets)] = ()
    # None: nobody has said it. A live bot needs it; trials and imports then take everyone.
    source_allowed_users: Annotated[
        tuple[AuthorId, ...] | Everyone | None, NoDecode, _from(parse_posters)
    ] = None
    admin_users: Annotated[tuple[AuthorId, ...], NoDecode, _from(_people)] = ()
    alert_silence_hours: Annotated[timedelta | None, _from(_silence)] = timedelta(hours=24)

    signal_markers: Annotated[tuple[str, ...], NoDecode, _from(_markers)] = DEFAULT_MARKERS
    signal_patterns: Annotated[tuple[str, ...], NoDecode, _from(_patterns)] = ()
    flow_ttl_hours: Annotated[timedelta, _from(parse_ttl)] = DEFAULT_TTL
    flow_after_ttl: AfterTtl = AfterTtl.RELEASE
    relay_edits: bool = True
    relay_deletes: bool = True
    relay_mentions: bool = False
    webhook_url: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    webhook_allow_private: bool = False

    # None: `routes.toml` beside `.env`, where there is one.
    routes_file: Path | None = None
    data_dir: Path = Path("data")
    database_url: Annotated[Path | None, _from(_database)] = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "console", "json"] = "auto"
    health_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    health_host: Annotated[str, _from(_address)] = "127.0.0.1"

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A line `NAME=` of `.env` sets nothing, except where that would mean another thing."""
        return {
            name: value
            for name, value in values.items()
            if value != "" or name in EMPTY_SAYS_SOMETHING
        }

    @classmethod
    def load(cls, overrides: Mapping[str, Any], *, env_file: Path = Path(".env")) -> Self:
        """The settings of the environment, over those of the file, under `overrides`.

        Raises `SettingsError` with a line per wrong value. The values of secrets are not in it.
        """
        refuse_readable(env_file)
        _refuse_misspelt(env_file, known=set(cls.model_fields))
        try:
            return cls(_env_file=env_file, **overrides)
        except ValidationError as exc:
            raise SettingsError("\n".join(map(_line, exc.errors(include_url=False)))) from None

    @property
    def permitted(self) -> frozenset[AuthorId] | None:
        """Who may post; None: everyone whose identity can be told."""
        said = self.source_allowed_users
        return frozenset(said) if isinstance(said, tuple) else None

    @property
    def webhook(self) -> Endpoint | None:
        """Raises `SettingsError` for one that cannot be told of anything."""
        url, secret = self.webhook_url, self.webhook_secret
        if url is None and secret is None:
            return None
        if url is None or secret is None:
            raise SettingsError("WEBHOOK_URL and WEBHOOK_SECRET: neither is of use alone, set both")
        found = Endpoint(
            url.get_secret_value(), secret.get_secret_value(), self.webhook_allow_private
        )
        _check("WEBHOOK_URL", found.check)
        _check("WEBHOOK_SECRET", partial(check_secret, found.secret))
        return found

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown to anybody, for those who see to that."""
        login = (self.api_hash, self.bot_token, self.session_string)
        given = (*login, self.webhook_url, self.webhook_secret)
        return tuple(secret.get_secret_value() for secret in given if secret is not None)

    @property
    def database(self) -> Path:
        return self.database_url or self.data_dir / "signals.db"

    @property
    def routes(self) -> Path:
        return self.routes_file or Path("routes.toml")

    @property
    def sessions(self) -> tuple[Path, ...]:
        """The files that hold a login."""
        return tuple(self.data_dir.glob("*.session*"))

    @property
    def flow_cache(self) -> Path:
        return self.data_dir / "flows"


def _check(name: str, check: Callable[[], None]) -> None:
    try:
        check()
    except SettingsError as exc:
        raise SettingsError(f"{name}: {exc}") from None


def set_outside(names: Iterable[str]) -> list[str]:
    """Those that the environment sets, whatever `.env` says."""
    given = {name.upper() for name, value in os.environ.items() if value}
    return [name for name in names if name in given]


def refuse_readable(path: Path) -> None:
    """Raise `SettingsError` for a file of secrets that is not its owner's alone."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # whoever reads it will say so, if it is needed
    if mode & 0o077:
        raise SettingsError(f"others on this machine can read {path}: chmod 600 {path}")


def _line(error: ErrorDetails) -> str:
    name = str(error["loc"][0]).upper() if error["loc"] else "settings"
    message = error["msg"].removeprefix("Value error, ")
    return f"{name}: {message[0].lower()}{message[1:]}"


def _refuse_misspelt(env_file: Path, *, known: set[str]) -> None:
    """Raise `SettingsError` for a name that sets nothing and was meant to.

    A misspelt SOURCE_ALLOWED_USERS would silently leave in force what another line says.
    """
    try:
        names = dotenv_values(env_file, interpolate=False).keys()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{env_file}: cannot be read: {exc}") from exc
    for name in names:
        setting = meant(name, known)
        if setting is not None:
            raise SettingsError(
                f"{name} in {env_file} is not a setting: did you mean {setting.upper()}?"
            )
    for name in os.environ:
        setting = meant(name, known, shared=True)
        if setting is not None:
            raise SettingsError(
                f"{name} in the environment is not a setting: did you mean {setting.upper()}? "
                "If it is another program's, start the bot without it"
            )


def require(settings: Settings) -> None:
    """Raises `SettingsError` with all that is missing for a live bot, and where it comes from.

    What is read and where it goes may be said by a file.
    """
    given: dict[str, object] = {
        "API_ID": settings.api_id,
        "API_HASH": settings.api_hash,
        "BOT_TOKEN": settings.bot_token or settings.session_string,
    }
    if settings.routes_file is None and not settings.routes.exists():
        given |= {
            "SOURCE_CHAT_ID": settings.source_chat_id,
            "TARGET_CHAT_ID": settings.target_chat_id,
            "SOURCE_ALLOWED_USERS": settings.source_allowed_users,
        }
    missing = [name for name, value in given.items() if not value]
    if missing == ["SOURCE_ALLOWED_USERS"]:  # what worked with an earlier version
        raise SettingsError(WHO_MAY_POST)
    if missing:
        raise SettingsError(
            "\n".join(
                [
                    "these settings are missing, in the environment or in .env:",
                    *(f"  {name:<22}{NEEDED[name]}" for name in missing),
                    "`setup` asks for them, and `replay result.json` works without any",
                ]
            )
        )
    if settings.bot_token and settings.session_string:
        raise SettingsError("BOT_TOKEN and SESSION_STRING are both set: keep one of them")
    if settings.source_chat_id in {target.chat for target in settings.target_chat_id}:
        raise SettingsError(f"TARGET_CHAT_ID: {settings.source_chat_id} is SOURCE_CHAT_ID, too")
