"""Streams of text in which secrets are blacked out, each as a whole or in pieces.

Apart from the log: a command that answers and ends has secrets to hide, and nothing to log.
"""

from __future__ import annotations

import base64
import re
import sys
from typing import TYPE_CHECKING, Final, TextIO
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLACKED_OUT: Final = "[secret]"
SHORTEST: Final = 8  # characters; anything shorter is a word, and stands in other places too
PIECE: Final = 16  # characters of a secret that are enough to be blacked out on their own
AUTH_KEY: Final = slice(6, 262)  # bytes of a session string, once decoded


def redact(secrets: Iterable[str]) -> None:
    """From now on, on standard output and standard error."""
    secrets = tuple(secrets)
    sys.stderr = redacting(sys.stderr, secrets)
    sys.stdout = redacting(sys.stdout, secrets)


class Redacting:
    """A text stream that blacks out secrets, each as a whole or in pieces.

    A secret that is written in two halves by two calls is not found; log lines and the lines of a
    traceback are written by one.
    """

    def __init__(self, stream: TextIO, secrets: re.Pattern[str]) -> None:
        self.stream = stream
        self._secrets = secrets

    def write(self, text: str) -> int:
        self.stream.write(self._secrets.sub(BLACKED_OUT, text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def redacting(stream: TextIO, secrets: Iterable[str]) -> TextIO:
    if isinstance(stream, Redacting):  # configured a second time, now that there are settings
        stream = stream.stream
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
    if not forms:
        return stream
    longest_first = sorted(forms, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    redacting: TextIO = Redacting(stream, pattern)  # type: ignore[assignment]  # it writes text
    return redacting


def _forms(secret: str) -> Iterator[str]:
    """The ways in which a secret can come to light."""
    whole = [secret, *secret.split(":")[1:], *_keys_within(secret)]
    for text in whole:
        yield text
        yield quote(text, safe="")
        for start in range(0, len(text) - PIECE + 1, PIECE):
            yield text[start : start + PIECE]


def _keys_within(secret: str) -> Iterator[str]:
    """The key that a session string holds, as programs like to show bytes."""
    try:
        key = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))[AUTH_KEY]
    except ValueError:
        return
    if len(key) == AUTH_KEY.stop - AUTH_KEY.start:
        yield key.hex()
        yield key.hex().upper()
        yield key.hex(" ")
        yield repr(key)[2:-1]
        yield base64.b64encode(key).decode()
        yield base64.urlsafe_b64encode(key).decode()
        yield str(int.from_bytes(key))
        yield str(int.from_bytes(key, "little"))
