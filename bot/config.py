"""Settings: the one reader of the environment and of `.env`.

Every value is checked once, here, and frozen. What only the live bot needs may be missing,
because `replay` and `import` do without it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from dotenv import dotenv_values

# Before pydantic is loaded: what else is installed here has no part in our settings, and none is looked for.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
from pydantic import (
    BeforeValidator,
    InstanceOf,
    PrivateAttr,
    SecretStr,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot import chat_names, env_text
from bot.chat_names import ChatName, NamedAddress
from bot.errors import SettingsError, words_of
from bot.faults import fault, named
from bot.models import (
    Address,
    AfterTtl,
    AuthorId,
    ChatId,
    Everyone,
)
from bot.phrases import LANGUAGES, by_locale, joined, later, phrase, preferred
from bot.proxy import Proxy, parse_proxy
from bot.server_address import ServerAddress, parse_database
from bot.setting_chats import parse_chat, parse_people, parse_posters, parse_targets
from bot.setting_values import (
    api_hash_is_wrong,
    one_of,
    parse_after_ttl,
    parse_api_id,
    parse_bool,
    parse_days,
    parse_ip,
    parse_language,
    parse_markers,
    parse_patterns,
    parse_port,
    parse_silence,
    parse_ttl,
    session_is_wrong,
    token_is_wrong,
)
from bot.spelling import meant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic_core import ErrorDetails

DEFAULT_MARKERS: Final = ("#идея", "#idea")
DEFAULT_TTL: Final = timedelta(hours=72)

HOLD_CHATS: Final = ("source_chat_id", "target_chat_id", "source_allowed_users", "admin_users")
EMPTY_SAYS_SOMETHING: Final = {"source_allowed_users", "signal_markers", "alert_silence_hours"}
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
FORMATS: Final = ("auto", "console", "json")
# What a live bot needs, and where it comes from.
NEEDED: Final = {
    "API_ID": later("from https://my.telegram.org"),
    "API_HASH": later("from https://my.telegram.org"),
    "BOT_TOKEN": later("from @BotFather (or SESSION_STRING, to run as a user)"),
    "SOURCE_CHAT_ID": later("the id of the group to read, such as -1001234567890"),
    "TARGET_CHAT_ID": later("the id of the chat to post to"),
    "SOURCE_ALLOWED_USERS": later("the ids of those who may post signals, or the word everyone"),
}
WHO_MAY_POST: Final = later(
    "SOURCE_ALLOWED_USERS is not set: list the ids of those who may post, or write "
    "SOURCE_ALLOWED_USERS=everyone to let everybody in the source post signals"
)


def _checked_proxy(text: str) -> SecretStr:
    parse_proxy(text)
    return SecretStr(text)


def _from(parse: Callable[[str], object]) -> BeforeValidator:
    """Parse text, and let through what code passes as the value itself."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def _chats(parse: Callable[[str], object]) -> WrapValidator:
    """The same for ids. A `ChatName` stands among them until `Settings.load` has its id."""
    return WrapValidator(
        lambda value, check: parse(value) if isinstance(value, str) else check(value)
    )


class Settings(BaseSettings):
    """The settings of README's table, by the same names in lower case."""

    _with_unknown: dict[str, Any] = PrivateAttr(default_factory=dict)  # settings, as they are said
    _place_secrets: dict[str, SecretStr] = PrivateAttr(default_factory=dict)

    model_config = SettingsConfigDict(
        env_file_encoding=env_text.ENCODING, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    api_id: Annotated[int | None, _from(parse_api_id)] = None
    api_hash: SecretStr | None = None
    bot_token: SecretStr | None = None
    session_string: SecretStr | None = None

    source_chat_id: Annotated[ChatId | None, _chats(parse_chat)] = None
    target_chat_id: Annotated[tuple[Address, ...], NoDecode, _chats(parse_targets)] = ()
    # None: nobody has said it. A live bot needs it; trials and imports then take everyone.
    source_allowed_users: Annotated[
        tuple[AuthorId, ...] | Everyone | None, NoDecode, _chats(parse_posters)
    ] = None
    admin_users: Annotated[tuple[AuthorId, ...], NoDecode, _chats(parse_people)] = ()
    alert_silence_hours: Annotated[timedelta | None, _from(parse_silence)] = timedelta(hours=24)
    names_kept_days: Annotated[timedelta, _from(parse_days)] = timedelta(days=90)  # 0: not at all

    signal_markers: Annotated[tuple[str, ...], NoDecode, _from(parse_markers)] = DEFAULT_MARKERS
    signal_patterns: Annotated[tuple[str, ...], NoDecode, _from(parse_patterns)] = ()
    flow_ttl_hours: Annotated[timedelta, _from(parse_ttl)] = DEFAULT_TTL
    flow_after_ttl: Annotated[AfterTtl, _from(parse_after_ttl)] = AfterTtl.RELEASE
    relay_edits: Annotated[bool, _from(parse_bool)] = True
    relay_deletes: Annotated[bool, _from(parse_bool)] = True
    relay_mentions: Annotated[bool, _from(parse_bool)] = False
    webhook_url: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    webhook_allow_private: Annotated[bool, _from(parse_bool)] = False
    translate_api_key: SecretStr | None = None

    proxy: Annotated[SecretStr | None, _from(_checked_proxy)] = None
    ipv6: Annotated[bool, _from(parse_bool)] = False
    device_name: str | None = None
    app_version: str | None = None

    # None: `routes.toml` beside `.env`, where there is one.
    routes_file: Path | None = None
    data_dir: Path = Path("data")
    database_url: Annotated[Path | InstanceOf[ServerAddress] | None, _from(parse_database)] = None
    # None: on where several hosts can work on the tables.
    ha: Annotated[bool | None, _from(parse_bool)] = None
    language: Annotated[str, _from(parse_language)] = LANGUAGES[0]
    log_level: Annotated[Level, _from(one_of(LEVELS))] = "INFO"
    log_format: Annotated[Literal["auto", "console", "json"], _from(one_of(FORMATS))] = "auto"
    health_port: Annotated[int | None, _from(parse_port)] = None
    health_host: Annotated[str, _from(parse_ip)] = "127.0.0.1"

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
        env_text.refuse_readable(env_file)
        known = set(cls.model_fields)
        _refuse_not_understood(env_file, known=known)
        wrong = list(_misspelt(env_file, known=known))
        try:
            said = env_text.value_of("LANGUAGE", env_file) or by_locale(os.environ)
            loaded = cls(_env_file=env_file, **{"language": said, **overrides})
        except ValidationError as exc:
            wrong += map(_line, exc.errors(include_url=False))
        if wrong:
            raise SettingsError(joined("\n", wrong))
        secrets = env_text.secrets_of_places(env_file, os.environ)
        loaded._place_secrets = {name: SecretStr(each) for name, each in secrets.items()}
        return loaded.with_names(chat_names.kept(loaded.data_dir))

    def with_names(self, ids: Mapping[ChatName, int]) -> Self:
        """Names as the ids that they have; those without one are left out, and kept in mind."""
        given = {**{name: getattr(self, name) for name in HOLD_CHATS}, **self._with_unknown}
        known = {name: _with_ids(value, ids) for name, value in given.items()}
        # What nobody has set is not to count as set.
        new = {name: left for name, (left, _) in known.items() if left != getattr(self, name)}
        settings = self.model_copy(update=new)
        settings._with_unknown = {name: given[name] for name, (_, rest) in known.items() if rest}  # noqa: SLF001  # of its own kind
        return settings

    @property
    def unknown_names(self) -> dict[ChatName, str]:
        """Names whose ids are not known yet, each with its setting."""
        held = ((name, value) for name, value in self._with_unknown.items())
        return {each: name.upper() for name, value in held for each in _with_ids(value, {})[1]}

    @property
    def permitted(self) -> frozenset[AuthorId] | None:
        """Who may post; None: everyone whose identity can be told. Raises `SettingsError` where that
        is not known yet.
        """
        if "source_allowed_users" in self._with_unknown:
            raise SettingsError(
                phrase(
                    "SOURCE_ALLOWED_USERS has names whose ids are not known yet: start the bot, "
                    "or `check`, once, or write the ids"
                )
            )
        said = self.source_allowed_users
        return frozenset(said) if isinstance(said, tuple) else None

    @property
    def place_secrets(self) -> Mapping[str, SecretStr]:
        """Of the webhooks of a file, by the names of their settings."""
        return self._place_secrets

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown to anybody, for those who see to that."""
        login = (self.api_hash, self.bot_token, self.session_string)
        own = (self.webhook_url, self.webhook_secret, self.translate_api_key)
        given = (*login, *own, *self.place_secrets.values())
        told = [secret.get_secret_value() for secret in given if secret is not None]
        way = self.way
        told += [] if way is None else filter(None, (way.password, way.secret))
        told += self.database.secrets if isinstance(self.database, ServerAddress) else ()
        return tuple(told)

    @property
    def way(self) -> Proxy | None:
        """The proxy; None: there is none between us and Telegram."""
        return None if self.proxy is None else parse_proxy(self.proxy.get_secret_value())

    @property
    def database(self) -> Path | ServerAddress:
        return self.database_url or self.data_dir / "signals.db"

    @property
    def several_hosts(self) -> bool:
        """Whether others may work on the same tables, so that one of them is to be elected."""
        return isinstance(self.database, ServerAddress) if self.ha is None else self.ha

    @property
    def routes(self) -> Path:
        return self.routes_file or Path("routes.toml")

    @property
    def sessions(self) -> tuple[Path, ...]:
        """The files that hold a login."""
        return tuple(self.data_dir.glob("*.session*"))

    @property
    def access_file(self) -> Path:
        """What stands in the way in the chats; see `monitoring.access`."""
        return self.data_dir / "access.json"

    @property
    def flow_cache(self) -> Path:
        return self.data_dir / "flows"


def _with_ids(value: Any, ids: Mapping[ChatName, int]) -> tuple[Any, list[ChatName]]:
    """The value with ids for names, and the names that have none."""
    many = isinstance(value, tuple)
    each = [_with_id(one, ids) for one in (value if many else [value])]
    unknown = [name for one in each if isinstance(name := _chat_in(one), ChatName)]
    left = tuple(dict.fromkeys(one for one in each if not isinstance(_chat_in(one), ChatName)))
    return (left if many else next(iter(left), None)), unknown


def _chat_in(one: Any) -> Any:
    return one.chat if isinstance(one, NamedAddress) else one


def _with_id(one: Any, ids: Mapping[ChatName, int]) -> Any:
    if isinstance(one, NamedAddress):
        found = ids.get(one.chat)
        return one if found is None else Address(ChatId(found), one.topic)
    return ids.get(one, one) if isinstance(one, ChatName) else one


def language_of(env_file: Path = Path(".env")) -> str:
    """Of whoever works here, for what is wrong with the settings, too."""
    try:
        said = env_text.value_of("LANGUAGE", env_file)
    except (OSError, ValueError):
        said = ""
    return preferred(said or by_locale(os.environ)) or LANGUAGES[0]


def colours() -> bool:
    """Whether a terminal is to show them. https://no-color.org"""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in {
        None,
        "dumb",
        "unknown",
    }


def set_outside(names: Iterable[str]) -> list[str]:
    """Those that the environment sets, whatever `.env` says."""
    given = {name.upper() for name, value in os.environ.items() if value}
    return [name for name in names if name in given]


def _line(error: ErrorDetails) -> str:
    name = str(error["loc"][0]).upper() if error["loc"] else "settings"
    ours = error.get("ctx", {}).get("error")
    if isinstance(ours, ValueError):
        return named(name, words_of(ours))
    return named(name, f"{error['msg'][0].lower()}{error['msg'][1:]}")


def _refuse_not_understood(env_file: Path, *, known: set[str]) -> None:
    """Raise `SettingsError` for a file that is no text, or lines of it that the library passes over."""
    wrong = env_text.not_understood(env_text.read(env_file), known)
    lines = [
        phrase("line {line} of {file} {what}", line=line, file=str(env_file), what=what)
        for line, what in wrong
    ]
    if lines:
        raise SettingsError(joined("\n", lines))


def _misspelt(env_file: Path, *, known: set[str]) -> Iterator[str]:
    """Names that set nothing and were meant to, each with what it was to be.

    A misspelt SOURCE_ALLOWED_USERS would silently leave in force what another line says.
    """
    for name in dotenv_values(env_file, interpolate=False, encoding=env_text.ENCODING):
        setting = meant(name, known)
        if setting is not None and not env_text.is_secret_of_place(name):
            yield phrase(
                "{name} in {file} is not a setting: did you mean {setting}?",
                name=name,
                file=str(env_file),
                setting=setting.upper(),
            )
    for name in os.environ:
        setting = meant(name, known, shared=True)
        if setting is not None and not env_text.is_secret_of_place(name):
            yield phrase(
                "{name} in the environment is not a setting: did you mean {setting}? "
                "If it is another program's, start the bot without it",
                name=name,
                setting=setting.upper(),
            )


def require(settings: Settings) -> None:
    """For a live bot. Raises `SettingsError` with all that is missing and where it comes from.

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
    named = set(settings.unknown_names.values())
    missing = [name for name, value in given.items() if not value and name not in named]
    if missing == ["SOURCE_ALLOWED_USERS"]:  # what worked with an earlier version
        raise SettingsError(phrase(WHO_MAY_POST))
    if missing:
        raise SettingsError(
            joined(
                "\n",
                [
                    phrase("these settings are missing, in the environment or in .env:"),
                    *(joined("", [f"  {name:<22}", phrase(NEEDED[name])]) for name in missing),
                    phrase("`setup` asks for them, and `replay result.json` works without any"),
                ],
            )
        )
    _refuse_malformed(settings)
    if settings.bot_token and settings.session_string:
        raise SettingsError(phrase("BOT_TOKEN and SESSION_STRING are both set: keep one of them"))
    if settings.source_chat_id in {target.chat for target in settings.target_chat_id}:
        too = phrase("{chat} is SOURCE_CHAT_ID, too", chat=settings.source_chat_id)
        raise fault("TARGET_CHAT_ID", too)


def _refuse_malformed(settings: Settings) -> None:
    """Raise `SettingsError` for what Telegram would refuse, or the library could not read."""
    checks = {
        "API_HASH": (settings.api_hash, api_hash_is_wrong),
        "BOT_TOKEN": (settings.bot_token, token_is_wrong),
        "SESSION_STRING": (settings.session_string, session_is_wrong),
    }
    given = ((name, value, look) for name, (value, look) in checks.items() if value)
    wrong = ((name, look(value.get_secret_value())) for name, value, look in given)
    lines = [named(name, what) for name, what in wrong if what]
    if settings.several_hosts and isinstance(settings.database, Path):
        lines.append(
            phrase("HA: a file of SQLite is one host's: set DATABASE_URL=postgresql://…, or HA=off")
        )
    if lines:
        raise SettingsError(joined("\n", lines))
