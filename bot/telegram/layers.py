"""The libraries speak different layers of Telegram's API: a raw object of either."""

from __future__ import annotations

import functools
import inspect
from typing import Any


def build(cls: Any, **fields: Any) -> Any:
    """An object of whichever layer is installed: fields that it does not know are left out."""
    known = _fields(cls)
    return cls(**{name: value for name, value in fields.items() if name in known})


@functools.cache
def _fields(cls: Any) -> frozenset[str]:
    return frozenset(inspect.signature(cls).parameters)
