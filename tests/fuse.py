"""The lights go out: a process ends before or after whatever is awaited in it."""

from __future__ import annotations

import inspect


class Crash(BaseException):
    """The lights go out. Nothing in the pipeline may catch it."""


class Fuse:
    """Burns through at the n-th step; a step is a moment before or after something is awaited."""

    def __init__(self, steps=None):
        self.left = steps
        self.passed = 0

    def step(self):
        self.passed += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Crash

    @property
    def burnt(self):
        return self.left is not None and self.left < 0

    def around(self, part):
        return Fused(part, self)


class Fused:
    """A part of which every coroutine has a step before and a step after it."""

    def __init__(self, part, fuse):
        self._part, self._fuse = part, fuse

    def __getattr__(self, name):
        method = getattr(self._part, name)
        if not inspect.iscoroutinefunction(method):
            return method  # nothing is awaited, so the lights go out before it or behind it

        async def stepwise(*args, **more):
            self._fuse.step()
            result = await method(*args, **more)
            self._fuse.step()
            return result

        return stepwise
