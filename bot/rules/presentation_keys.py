"""A presentation from the keys of a file, strictly: what is wrong is named in one line, with the mend."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bot.endpoints import Translation
from bot.errors import SettingsError, words_of
from bot.faults import fault
from bot.phrases import joined, phrase
from bot.rules.cleaning import Replacement
from bot.rules.presentation import Medium, Missing, Only, Presentation
from bot.spelling import meant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

TRANSLATE: Final = 'translate = { to = "en", url = "https://translate.example.org" }'
KEYS: Final = frozenset(Presentation.__slots__)
EXAMPLE: Final = "replace = [{ pattern = 'our exchange', by = \"🏦\" }]"

Choice = TypeVar("Choice", bound=StrEnum)


def presentation_from(keys: Mapping[str, Any]) -> Presentation:
    """Of those keys that `KEYS` names; any other is refused. Raises `SettingsError`."""
    _refuse_unknown(keys, KEYS)
    if "template_missing" in keys and not keys.get("template"):
        raise fault(
            "template_missing", phrase("there is no template; write one, or leave this out")
        )
    return Presentation(**{name: READ[name](name, value) for name, value in keys.items()})


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise fault(name, phrase('write a text in quotes, as in {name} = "…"', name=name))
    return value


def _switch(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise fault(name, phrase("write true or false, without quotes"))
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise fault(name, phrase('write a list of texts, as in {name} = ["…"]', name=name))
    return tuple(value)


def _choice(of: type[Choice]) -> Callable[[str, object], Choice]:
    def read(name: str, value: object) -> Choice:
        try:
            return of(str(value).replace("-", " ").replace("_", " "))
        except ValueError:
            known = joined(phrase(" or "), [f'"{each}"' for each in of])
            none = phrase("{value} is none of {known}", value=repr(value), known=known)
            raise fault(name, none) from None

    return read


def _replacements(name: str, value: object) -> tuple[Replacement, ...]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise fault(name, phrase("write a list of tables, as in {example}", example=EXAMPLE))
    return tuple(_replacement(name, each) for each in value)


def _replacement(name: str, keys: Mapping[str, Any]) -> Replacement:
    _refuse_unknown(keys, Replacement._fields, within=name)
    if "pattern" not in keys:
        raise fault(name, phrase("a pattern is missing, as in {example}", example=EXAMPLE))
    return Replacement(**{key: _text(f"{name}.{key}", value) for key, value in keys.items()})


def _only(name: str, value: object) -> Only:
    if not isinstance(value, dict):
        example = f'{name} = {{ pairs = ["BTC/USDT"] }}'
        raise fault(name, phrase("write a table, as in {example}", example=example))
    _refuse_unknown(value, Only.__slots__, within=name)
    said = {key: _texts(f"{name}.{key}", each) for key, each in value.items()}
    said["directions"] = tuple(each.upper() for each in said.get("directions", ()))
    try:
        return Only(**said)
    except SettingsError as exc:
        raise fault(name, words_of(exc)) from None


def _translate(name: str, value: object) -> Translation:
    if not isinstance(value, dict):
        raise fault(name, phrase("write a table, as in {example}", example=TRANSLATE))
    if "key" in value or "api_key" in value:
        raise fault(name, phrase("the key of the service is TRANSLATE_API_KEY in .env: move it"))
    _refuse_unknown(value, TRANSLATE_KEYS, within=name)
    for key in ("to", "url"):
        if key not in value:
            missing = phrase("{key} is missing, as in {example}", key=key, example=TRANSLATE)
            raise fault(name, missing)
    said = {key: TRANSLATE_KEYS[key](f"{name}.{key}", each) for key, each in value.items()}
    try:
        return Translation(**said)
    except SettingsError as exc:
        raise SettingsError(joined(".", [name, words_of(exc)])) from None


def _seconds(name: str, value: object) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?) ?s?", str(value))
    if found is None:
        raise fault(name, phrase('give 1 to 60 seconds, such as 10 or "10s"'))
    return timedelta(seconds=float(found[1]))


def _refuse_unknown(keys: Mapping[str, Any], known: Iterable[str], *, within: str = "") -> None:
    known = sorted(known)
    for key in keys:
        if key not in known:
            close = meant(key, known)
            if close:
                mend = phrase("did you mean {name}?", name=close)
            else:
                mend = phrase("there are {names}", names=", ".join(known))
            none = phrase("there is no such key; {mend}", mend=mend)
            raise fault(f"{within and within + '.'}{key}", none)


TRANSLATE_KEYS: Final[dict[str, Callable[[str, object], Any]]] = {
    "to": _text,
    "url": _text,
    "wait": _seconds,
    "mark": _text,
    "allow_private": _switch,
}
READ: Final[dict[str, Callable[[str, object], Any]]] = {
    "replace": _replacements,
    "remove_links": _switch,
    "remove_mentions": _switch,
    "strip_lines": _texts,
    "header": _text,
    "footer": _text,
    "skip": _texts,
    "only": _only,
    "media": _choice(Medium),
    "silent": _switch,
    "previews": _switch,
    "template": _text,
    "template_missing": _choice(Missing),
    "translate": _translate,
}
