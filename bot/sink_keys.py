"""Places of `routes.toml` that are no chats: a webhook, a file of events. Their keys, and what is wrong with them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bot.endpoints import Endpoint, FileEndpoint, check_endpoint, check_secret
from bot.env_text import SECRET_OF
from bot.errors import SettingsError, words_of
from bot.faults import named
from bot.phrases import joined, phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from bot.endpoints import Translation

KINDS: Final = ("chat", "webhook", "jsonl")
SUFFIX: Final = ".jsonl"
SPAN: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?([smhd]?)")
UNITS: Final = {"s": "seconds", "m": "minutes", "": "minutes", "h": "hours", "d": "days"}
LONGEST: Final = timedelta(days=3650)
LATE: Final = {"mark": False, "skip": True}
# For people who read a chat; a program has the fields.
FOR_CHATS: Final = frozenset(
    {"silent", "previews", "header", "footer", "template", "template_missing", "translate"}
)


class WrongKey(Exception):
    """Of a place: which key, None: none that is there, and what to do."""

    def __init__(self, key: str | None, text: str) -> None:
        super().__init__(text)
        self.key = key
        self.text = text


def kind_of(table: Mapping[str, Any]) -> str | None:
    """Which of `KINDS` it is; None: it says none. Raises `WrongKey` for what does not go with that."""
    kinds = [kind for kind in KINDS if kind in table]
    if len(kinds) > 1:
        several = phrase(
            "a place is one of {kinds}: give this a [[source.place]] of its own",
            kinds=", ".join(KINDS),
        )
        raise WrongKey(kinds[1], named(kinds[1], several))
    kind = kinds[0] if kinds else None
    for key in table:
        whose = _whose(key)
        if kind is not None and kind not in whose:
            kinds_ = joined(phrase(" and "), whose)
            alone = phrase("{key} is for {kinds} alone: take it out", key=key, kinds=kinds_)
            raise WrongKey(key, alone)
    return kind


def _whose(key: str) -> tuple[str, ...]:
    if key in FOR_CHATS:
        return ("chat",)
    if key == "allow_private":
        return ("webhook",)
    return ("webhook", "jsonl") if key in {"fresh_for", "late"} else KINDS


@dataclass
class Sinks:
    """Reads them. `secrets`: by the names of their settings. `data_dir`: what paths begin at.

    `translate_key`: of the one service that translates; None: it asks for none.
    """

    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    data_dir: Path = Path()
    translate_key: SecretStr | None = None
    _settings: dict[str, str] = field(default_factory=dict)  # the place of each secret

    def endpoint(self, table: Mapping[str, Any], place: str) -> Endpoint | FileEndpoint:
        """What the keys say of a place of that name. Raises `WrongKey`."""
        said = {name: _read(table, key, parse) for key, name, parse in SHARED if key in table}
        if "jsonl" in table:
            path = _read(table, "jsonl", _path)
            return FileEndpoint(*self._found(path), **said)
        if "allow_private" in table:
            said["allow_private"] = _read(table, "allow_private", yes_or_no)
        url = _read(table, "webhook", partial(_url, allow_private=said.get("allow_private", False)))
        return Endpoint(url, self._secret(place), **said)

    def with_key(self, how: Translation | None) -> Translation | None:
        if how is None or self.translate_key is None:
            return how
        return replace(how, key=self.translate_key.get_secret_value())

    def _secret(self, name: str) -> str:
        setting = setting_of(name)
        other = self._settings.setdefault(setting, name)
        if other != name:
            both = phrase(
                "{name} and {other} would have one secret, {setting}: take another name",
                name=name,
                other=other,
                setting=setting,
            )
            raise WrongKey("name", both)
        if setting not in self.secrets:
            missing = phrase(
                "{setting} is not set, in the environment or in .env: make one with "
                "`echo whsec_$(openssl rand -base64 32)`, and give it to the program, too",
                setting=setting,
            )
            raise WrongKey("webhook", missing)
        secret = self.secrets[setting].get_secret_value()
        try:
            check_secret(secret)
        except SettingsError as exc:
            raise WrongKey("webhook", named(setting, words_of(exc))) from None
        return secret

    def _found(self, path: Path) -> tuple[Path, str]:
        """The file, and what it is told apart by: on another host DATA_DIR may be another."""
        home = self.data_dir.resolve()
        file = self.data_dir / path
        whole = file.parent.resolve() / file.name  # a link there is not to be followed
        below = whole.is_relative_to(home)
        return whole, str(whole.relative_to(home) if below else whole)


def setting_of(name: str) -> str:
    """Where the secret of a place stands in `.env`."""
    return SECRET_OF + re.sub(r"[^A-Z0-9]", "_", name.upper())


def differing(one: Endpoint | FileEndpoint, other: Endpoint | FileEndpoint) -> str | None:
    """What two places of one address do not say alike, as a key; None: nothing."""
    keys = ("secret", "allow_private", "fresh_for", "skip_late")
    found = (key for key in keys if getattr(one, key, None) != getattr(other, key, None))
    key = next(found, None)
    return "late" if key == "skip_late" else key


def _read(table: Mapping[str, Any], key: str, parse: Callable[[object], Any]) -> Any:
    try:
        return parse(table[key])
    except SettingsError as exc:
        raise WrongKey(key, named(key, words_of(exc))) from None


def _url(value: object, *, allow_private: bool) -> str:
    if not isinstance(value, str):
        raise SettingsError(phrase('give a URL in quotes, such as "https://example.org/hook"'))
    check_endpoint(value, allow_private=allow_private)
    return value


def _path(value: object) -> Path:
    name = value.rpartition("/")[2] if isinstance(value, str) else ""
    if not isinstance(value, str) or "\0" in value or name.removesuffix(SUFFIX) in {"", name}:
        # Any other name might be a file of the bot's own, or of somebody else.
        raise SettingsError(
            phrase('give a file whose name ends in .jsonl, such as "signals.jsonl"')
        )
    return Path(value).expanduser() if value.startswith("~/") else Path(value)


def _span(value: object) -> timedelta:
    text = str(value) if not isinstance(value, bool) else ""
    found = SPAN.fullmatch(text.strip())
    span = timedelta(0)
    if found is not None:
        span = timedelta(**{UNITS[found[2]]: float(found[1])})
    if not timedelta(0) < span <= LONGEST:
        raise SettingsError(phrase('give minutes, such as 10, or "90s", "10m", "2h", "1d"'))
    return span


def _late(value: object) -> bool:
    if not isinstance(value, str) or value not in LATE:
        raise SettingsError(phrase('give "mark" or "skip"'))
    return LATE[value]


def yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(phrase("give true or false, without quotes"))
    return value


SHARED: Final = (("fresh_for", "fresh_for", _span), ("late", "skip_late", _late))
KEYS: Final = frozenset({"webhook", "jsonl", "allow_private", *(key for key, _, _ in SHARED)})
