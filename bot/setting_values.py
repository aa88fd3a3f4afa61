"""Values of settings and options that are no ids: read, or refused with what would be right. Pure.

Every function raises `ValueError`; its text never holds what may be a secret.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from bot.models import AfterTtl
from bot.phrases import joined, phrase, plural, preferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

YES: Final = frozenset({"true", "yes", "on", "1", "t", "y"})
NO: Final = frozenset({"false", "no", "off", "0", "f", "n"})
API_ID: Final = re.compile(r"[1-9][0-9]{0,9}")
API_HASH: Final = re.compile(r"[0-9a-f]{32}")
TOKEN: Final = re.compile(r"[0-9]+:[A-Za-z0-9_-]+")
SESSION: Final = re.compile(r"[A-Za-z0-9_-]{300,400}=*")
LONGEST_SHOWN: Final = 20  # characters; an id has as many at most, and no secret as few
HIGHEST_PORT: Final = 65_535
MAX_TTL_HOURS: Final = 24 * 3650


def shown(text: str) -> str:
    """A wrong value, unless it is as long as a token that was put on the wrong line."""
    if len(text) <= LONGEST_SHOWN:
        return repr(text)
    return plural("a text of {n} character", "a text of {n} characters", len(text))


def parse_bool(text: str) -> bool:
    word = text.strip().casefold()
    if word not in YES | NO:
        raise ValueError(
            phrase("{value} is neither true nor false: write one of them", value=shown(text))
        )
    return word in YES


def parse_api_id(text: str) -> int:
    if not API_ID.fullmatch(text.strip()):
        raise ValueError(
            phrase(
                "{value} is not an API id: it is a number such as 1234567, "
                "and stands on https://my.telegram.org",
                value=shown(text),
            )
        )
    return int(text)


def parse_port(text: str) -> int:
    number = text.strip()
    if not re.fullmatch(r"[0-9]{1,5}", number) or not 0 < int(number) <= HIGHEST_PORT:
        raise ValueError(
            phrase("{value} is not a port: give a number from 1 to 65535", value=shown(text))
        )
    return int(number)


def parse_days(text: str) -> timedelta:
    """Whole days; 0 is a number, too."""
    number = text.strip()
    if not re.fullmatch(r"[0-9]{1,4}", number):
        raise ValueError(
            phrase("{value} is not a number of days: give 0 to 9999", value=shown(text))
        )
    return timedelta(days=int(number))


def parse_count(text: str) -> int:
    number = text.strip()
    if not re.fullmatch(r"0*[1-9][0-9]{0,9}", number):
        raise ValueError(
            phrase("{value} is not a number of messages: give 1 or more", value=shown(text))
        )
    return int(number)


def one_of(words: Iterable[str]) -> Callable[[str], str]:
    """Read one of the words, in any case, as it stands among them."""
    known = {word.casefold(): word for word in words}
    *most, last = [f"'{word}'" for word in known.values()]
    choice = joined(phrase(" or "), [", ".join(most), last])

    def parse(text: str) -> str:
        word = known.get(text.strip().casefold())
        if word is None:
            raise ValueError(phrase("input should be {choice}", choice=choice))
        return word

    return parse


def parse_ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(
            phrase("{value} is not an IP address such as 127.0.0.1 or 0.0.0.0", value=repr(text))
        ) from None


def parse_ttl(text: str) -> timedelta:
    """Hours, whole or with a decimal point."""
    try:
        hours = Decimal(text.strip())
    except InvalidOperation:
        hours = Decimal(0)
    if not (hours.is_finite() and 0 < hours <= MAX_TTL_HOURS):
        raise ValueError(
            phrase("{value} is not a number of hours above 0 (72 is three days)", value=shown(text))
        )
    return timedelta(hours=float(hours))


def parse_after_ttl(text: str) -> AfterTtl:
    """In any case."""
    return AfterTtl(one_of(AfterTtl)(text))


def parse_silence(text: str) -> timedelta | None:
    return None if text.strip() in {"", "0"} else parse_ttl(text)


def parse_patterns(text: str) -> tuple[str, ...]:
    return _split(r"\n|;;", text)


def _split(separators: str, text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in re.split(separators, text))
    return tuple(dict.fromkeys(part for part in parts if part))


def parse_markers(text: str) -> tuple[str, ...]:
    markers = _split(",", text)
    if not markers:
        raise ValueError(
            phrase("is set but empty: name at least one marker, or leave the setting out")
        )
    return markers


def parse_language(text: str) -> str:
    found = preferred(text)
    if found is None:
        raise ValueError(
            phrase("{value} is none that the bot speaks: write en or ru", value=shown(text))
        )
    return found


# What Telegram would refuse, told before it is asked. The texts do not repeat the value.


def api_hash_is_wrong(text: str) -> str | None:
    if API_HASH.fullmatch(text):
        return None
    return phrase(
        "an API hash has 32 digits and letters from a to f, and stands on https://my.telegram.org"
    )


def token_is_wrong(text: str) -> str | None:
    if TOKEN.fullmatch(text):
        return None
    return phrase("a bot's token looks like 123456789:AbC…, and @BotFather gives it")


def session_is_wrong(text: str) -> str | None:
    if SESSION.fullmatch(text):
        return None
    return phrase("a session string of Pyrogram has over 300 letters and digits, on one line")
