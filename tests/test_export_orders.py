"""Whatever order the messages of an export come in, and however often: the same decisions, and the same tables."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.app import main_route
from bot.config import Settings
from bot.history.export import Export
from bot.history.exported_message import message_of
from bot.history.replay import Trial, import_history, rules_for
from bot.models import ChatId
from tests.exports import CHAT_ID, START, message, service, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bot.history.replay import Decided, Tally
    from bot.models import IncomingMessage

pytestmark = pytest.mark.long

GROUP = ChatId(-(10**12) - CHAT_ID)
HOUR, DAY = 3600, 86_400
PAUSES = (
    60,
    71 * HOUR,
    73 * HOUR,
    31 * DAY,
)  # a flow is released meanwhile; a refusal is forgotten
TEXTS = ("#idea BTC/USDT LONG", "TP1", "#idea", "")


@st.composite
def talks(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A chat by ids. Of an edited message both versions may have come, by an export of before and one of after."""
    at = draw(st.sampled_from([START, int(time.time()) - 40 * DAY]))
    said: list[dict[str, Any]] = []
    for number in range(1, draw(st.integers(2, 9)) + 1):
        at += draw(st.sampled_from(PAUSES))
        author = draw(st.sampled_from(["user101", "user102", "channel9", None]))
        parent = draw(st.none() | st.integers(1, number + 1))
        more: dict[str, Any] = draw(
            st.sampled_from([{}, {}, {}, {"forwarded_from": "X"}, {"photo": "a"}])
        )
        one = message(number, author, draw(st.sampled_from(TEXTS)), reply_to=parent, at=at, **more)
        if draw(st.integers(0, 9)) == 0:
            one = service(number, "user101", date_unixtime=str(at))
        said.append(one)
        if draw(st.integers(0, 4)) == 0:
            text = draw(st.sampled_from(TEXTS))
            edit = {"edited_unixtime": str(at + 30)}
            said.append(message(number, author, text, reply_to=parent, at=at, **more, **edit))
    return said


@st.composite
def orders(draw: st.DrawFn, said: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All of it in some order, as merged exports have it: some of it twice."""
    again = draw(st.lists(st.sampled_from(said), max_size=3))
    return draw(st.permutations([*said, *again]))


class Kept:
    """What was decided, without what the second copy of a message is."""

    def __init__(self) -> None:
        self.decisions: dict[tuple[int, int | None], tuple[Any, ...]] = {}
        self.sums: dict[str, object] = {}

    def show(self, decided: Decided) -> None:
        said, decision, signal = decided[:3]
        found = (decision.outcome, decision.reason, signal)
        self.decisions.setdefault((said.id, said.edited_at), found)

    def finish(self, tally: Tally) -> None:
        self.sums = tally.as_json()


def settings_in(directory: Path) -> Settings:
    return Settings.model_construct(
        data_dir=directory, source_chat_id=GROUP, signal_markers=("#idea",)
    )


async def decided(path: Path, messages: Iterable[IncomingMessage]) -> Kept:
    kept, trial = Kept(), settings_in(path.parent)
    rules = rules_for(main_route(trial), Export(path).chat)
    await Trial(trial, rules).run(messages, kept)
    return kept


async def imported(path: Path, data: Path) -> tuple[dict[str, object], str]:
    """What was counted, and the line that it ends with."""
    kept, told, export = Kept(), list[str](), Export(path)
    into = settings_in(data)
    messages = export.messages()
    await import_history(into, main_route(into), export.chat, messages, kept, tell=told.append)
    return kept.sums, told[-1]


def tables(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, but for when they were written."""
    found = {}
    with closing(sqlite3.connect(data / "signals.db")) as db:
        for table in ("signals", "signal_updates", "decisions", "people", "posts"):
            of = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            named = ", ".join(name for name in of if name != "recorded_at")
            found[table] = db.execute(f"SELECT {named} FROM {table} ORDER BY 1").fetchall()
    return found


@settings(deadline=None)
@given(data=st.data())
async def test_for_any_order_of_an_export_the_decisions_are_those_of_the_order_by_id(
    tmp_path_factory, data
):
    said = data.draw(talks())
    path = write(tmp_path_factory.mktemp("e") / "e.json", *data.draw(orders(said)))
    by_id = [message_of(one, GROUP) for one in said]
    expected = await decided(path, filter(None, by_id))

    found = await decided(path, Export(path).messages())

    assert found.decisions == expected.decisions


@settings(deadline=None)
@given(data=st.data())
async def test_importing_again_in_any_order_changes_nothing_and_says_so_alike(
    tmp_path_factory, data
):
    said = data.draw(talks())
    folder = tmp_path_factory.mktemp("e")
    data_dir = folder / "data"
    first = write(folder / "first.json", *data.draw(orders(said)))
    again = write(folder / "again.json", *data.draw(orders(said)))
    _, wrote = await imported(first, data_dir)
    before = tables(data_dir)
    whole = [len(before[table]) for table in ("signals", "signal_updates", "decisions")]
    assert [int(number) for number in re.findall(r"\d+", wrote.partition(" to ")[0])] == whole

    second, told = await imported(again, data_dir)
    assert tables(data_dir) == before
    assert told.startswith("wrote 0 signals, 0 updates and 0 refusals to ")
    assert await imported(again, data_dir) == (second, told)
