"""What a reader of the text sees, as plain characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Characters without a shape. A reader sees one number where such a character cuts it in two. The variation selector
# and the joiner only choose how an emoji looks.
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b-\u200f\u202a\u202b\u202c\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e01ef]"
)
# These turn the digits of a number round. What a reader sees then is not what stands in the text.
TURNING: Final = re.compile("[\u202d\u202e]")
# Bold, italic and other mathematical letters, and the wide forms of ASCII, which people use as fonts.
_FONTS: Final = re.compile("[\U0001d400-\U0001d7ff\uff01-\uff5e]")
_DASHES: Final = re.compile("[‐‑‒–—―−﹣➖~〜]")
_DIVISION: Final = re.compile("[⁄∕／]")
_LINES: Final = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def clean(text: str) -> str:
    """Lines of single spaces, with one kind of dash and slash. Letters are composed."""
    text = _INVISIBLE.sub("", text)
    text = _FONTS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    text = _DIVISION.sub("/", _DASHES.sub("-", unicodedata.normalize("NFC", text)))
    return "\n".join(" ".join(line.split()) for line in _LINES.split(text.replace("\r\n", "\n")))
