from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import diskcache
import pytest
import structlog
from hypothesis import Phase, settings

from bot.state.flow_cache import open_flow_cache
from bot.storage.databases import database_at
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests import forkserver
from tests.server import server

# Examples vary in how much disk they touch; their time says nothing.
settings.register_profile("default", deadline=None, print_blob=True)
# While one works on something a hint is enough; the whole has been tried before it is committed.
settings.register_profile("quick", settings.get_profile("default"), max_examples=20)
# In a program that is broken on purpose any example will do, and the smallest takes minutes to find.
settings.register_profile("sabotage", deadline=None, phases=[Phase.explicit, Phase.generate])
settings.load_profile("sabotage" if "SABOTAGE" in os.environ else "default")

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver

    from tests.loopback import LoopbackTelegram, Person
    from tests.stage import Stage

# Drawn with colours and frames, as structlog has it, a traceback takes a third of a second.
PLAIN = structlog.dev.ConsoleRenderer(
    colors=False, exception_formatter=structlog.dev.plain_traceback
)
pytest_plugins = ("tests.processes",)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], PLAIN])
ROOT = Path(__file__).parent.parent
PLAYED = frozenset({"run", "telegram", "postgresql"})  # fixtures of tests that start programs
SECRET = bytes(range(32))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        given = getattr(item, "callspec", None)
        asked = {
            *getattr(item, "fixturenames", ()),
            *map(str, given.params.values() if given else ()),
        }
        if not PLAYED.isdisjoint(asked):
            item.add_marker("played")


# The contract of the store: tests that ask nothing but the store are run over each database.
CONTRACT = {
    "test_edits_permitted",
    "test_lost_parents",
    "test_outbox",
    "test_recorded_once",
    "test_update_handler",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.split(".")[-1]
    of_one = metafunc.definition.get_closest_marker("sqlite")
    if "store" in metafunc.fixturenames and module in CONTRACT and not of_one:
        metafunc.parametrize("store", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SignalStore]:
    if getattr(request, "param", "sqlite") == "postgresql":
        address = request.getfixturevalue("postgresql").new_database()
        store = SignalStore(database_at(address, in_loop=True))
    else:
        store = SignalStore(Database(tmp_path / "signals.db", in_loop=True))
    await store.open()
    yield store
    await store.close()


@pytest.fixture(scope="session")
def postgresql():
    """A server of our own, of which each test takes a database or some."""
    pytest.importorskip("psycopg", reason="without psycopg there is nothing that speaks to it")
    with server() as found:
        if found is None:
            if "POSTGRESQL_REQUIRED" in os.environ:
                pytest.fail("no PostgreSQL here, and its tests are required")
            pytest.skip("no PostgreSQL on this machine")
        yield found


@pytest.fixture
def now():
    return int(time.time())


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[diskcache.Cache]:
    cache = open_flow_cache(tmp_path / "flows", SECRET)
    assert cache is not None
    yield cache
    cache.close()


@pytest.fixture
def run(tmp_path):
    """Run a command in an empty directory, with nothing set but what the test sets."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    def run(*args, env=(), **options):
        return forkserver.run(
            ["-m", "bot", *map(str, args)],
            cwd=tmp_path,
            env={**keep, "PYTHONPATH": str(ROOT), **dict(env)},
            timeout=60,
            **options,
        )

    return run


@pytest.fixture
async def telegram() -> AsyncIterator[LoopbackTelegram]:
    # Imported here: most tests never meet Telegram.
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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    from tests.chromium import opened  # noqa: PLC0415  # as above

    with opened(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser
