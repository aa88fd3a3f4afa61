"""A clock that stands still until a test moves it."""

from __future__ import annotations

from tests.people import NOON


class Clock:
    """`now` is seconds, as of whatever clock it stands for."""

    def __init__(self, now=NOON):
        self.now = float(now)

    def __call__(self):
        return self.now
