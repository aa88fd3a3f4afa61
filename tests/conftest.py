from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import diskcache
import pytest
from hypothesis import settings

from bot.state.flow_disk import open_flow_cache
from bot.storage.store import SignalStore, connect

# Examples vary in how much disk they touch; their time says nothing.
settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")

if TYPE_CHECKING:
    from tests.loopback import LoopbackTelegram, Person
    from tests.stage import Stage

SECRET = bytes(range(32))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SignalStore]:
    store = SignalStore(connect(tmp_path / "signals.db", in_loop=True))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[diskcache.Cache]:
    cache = open_flow_cache(tmp_path / "flows", SECRET)
    assert cache is not None
    yield cache
    cache.close()


@pytest.fixture
async def telegram() -> AsyncIterator[LoopbackTelegram]:
    # Imported here: it brings in Pyrogram, and most tests never meet Telegram.
    from tests.loopback import LoopbackTelegram  # noqa: PLC0415  # see above

    async with LoopbackTelegram() as loopback:
        yield loopback


@pytest.fixture
def alice(telegram: LoopbackTelegram) -> Person:
    return telegram.user("Alice")


@pytest.fixture
def bot(telegram: LoopbackTelegram) -> Person:
    return telegram.bot("relay_bot", token="42:secret")


@pytest.fixture
async def stage(telegram: LoopbackTelegram, tmp_path: Path) -> AsyncIterator[Stage]:
    """Whatever was played on it, no call was made that a bot may not make."""
    from tests.stage import Stage  # noqa: PLC0415  # as above

    yield Stage(telegram, tmp_path)
    assert telegram.calls.violations == []
