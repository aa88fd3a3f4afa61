"""Whatever is asked of the tables may be asked of PostgreSQL, too."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_mock_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

import bot.storage
from bot.models import (
    Cursor,
    Failure,
    MessageRef,
    Method,
    SignalId,
    UnreadableMessage,
)
from bot.signal_fields import SignalFields
from bot.signal_json import RowKind
from bot.storage import (
    about,
    coverage,
    cursors,
    failures,
    flow_list,
    history,
    line,
    messages,
    outbox,
    parts,
    post_records,
    records,
    schema,
    statements,
    stream,
    untranslated,
    waiting,
)
from bot.storage.engine import Database, Prepared
from bot.storage.store import SignalStore
from tests.carried_over import PHOTO, Scene, Target, go_on, long
from tests.people import ALICE, GROUP, NOON, TARGET, says

POSTGRESQL = postgresql.dialect(paramstyle="pyformat")
STORAGE = Path(bot.storage.__file__).parent
TABLES = list(schema.metadata.tables.values())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_tables_can_be_made(table):
    assert str(CreateTable(table).compile(dialect=POSTGRESQL))
    for index in table.indexes:
        assert str(CreateIndex(index).compile(dialect=POSTGRESQL))


def test_an_index_of_some_rows_is_one_on_a_server_too():
    """Else what waits is looked for among all that was ever posted."""
    told = []
    db = create_mock_engine(
        "postgresql+psycopg://", lambda sql, *_: told.append(str(sql.compile(dialect=POSTGRESQL)))
    )

    schema.metadata.create_all(db, checkfirst=False)

    partial = {
        sql.split()[2] for sql in told if sql.startswith("CREATE INDEX") and " WHERE " in sql
    }
    albums = {"signals_of_album", "signal_updates_of_album"}
    of_posts = {"posts_to_send", "posts_aside", "posts_untranslated"}
    assert partial == {*albums, *of_posts, "decisions_failed"}


def prepared():
    """Those that are compiled once, by name."""
    for module in (about, line, messages, outbox, parts, statements, untranslated, waiting):
        for name, make in inspect.getmembers(module, inspect.isroutine):
            made = getattr(make, "__wrapped__", make)
            if made.__module__ != module.__name__ or not hasattr(make, "cache_info"):
                continue
            tables = statements.RECORDS if name == "insert_once" else statements.RECORDS[:2]
            known = {"method": line.NEEDS, "closed": (0, 2), "table": tables}
            choices = [known[each] for each in inspect.signature(made).parameters]
            for each in itertools.product(*choices):
                named = f"{module.__name__}.{name}({', '.join(map(str, each))})"
                made = make(*each)
                several = isinstance(made, line.Next)
                yield from (
                    (named, one) for one in (made if several else [made]) if one is not None
                )


PREPARED = {f"{name} #{number}": made for number, (name, made) in enumerate(prepared())}


@pytest.mark.parametrize("name", PREPARED)
def test_what_is_compiled_once_can_be_compiled_for_it(name):
    assert isinstance(PREPARED[name], Prepared)
    compiled = PREPARED[name].compiled(POSTGRESQL)

    assert compiled.sql.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"))
    assert None not in {*compiled.names, *compiled.said}


QUERIES = (
    lambda db: records.recorded(db, MessageRef(GROUP, 1)),
    lambda db: records.recorded(db, MessageRef(GROUP, 0)),
    lambda db: records.replies(db, SignalId(1)),
    lambda db: records.messages_with_id(db, 1),
    lambda db: records.neighbours(db, MessageRef(GROUP, 2)),
    lambda db: records.extras_of(db, MessageRef(GROUP, 1)),
    lambda db: records.signal(db, SignalId(1)),
    lambda db: records.owner_activity(db, SignalId(1), at=NOON, but=MessageRef(GROUP, 2)),
    lambda db: records.refused_edit(db, MessageRef(GROUP, 1)),
    lambda db: records.ended_by_hand(db, SignalId(1), before=NOON),
    lambda db: records.count_flows(db, active_since=NOON),
    lambda db: post_records.posts_of(db, MessageRef(GROUP, 1)),
    lambda db: records.posted_from(db, MessageRef(TARGET, 500)),
    lambda db: post_records.post(db, 1),
    lambda db: untranslated.next_awaiting(db, place=0, method=Method.EDIT),
    lambda db: list(untranslated.awaiting(db, [1, 2])),
    records.count_posts,
    records.count_aside,
    lambda db: post_records.troubles(db, at_most=5),
    lambda db: records.backlogs(db, [TARGET]),
    records.paused_at,
    records.tier_hits,
    records.heard,
    records.moved,
    *(
        lambda db, kind=kind: stream.page(
            db, stream.Wanted(kind, NOON, [GROUP]), MessageRef(GROUP, 1)
        )
        for kind in RowKind
    ),
    lambda db: stream.once_called(db, GROUP),
    lambda db: stream.is_known(db, [GROUP]),
    stream.known_chats,
    coverage.coverage,
    coverage.newest_signal,
    lambda db: coverage.told_of(db, SignalId(1)),
    lambda db: list(flow_list.flows(db, active_since=NOON, owner=ALICE, pair="BTC")),
    lambda db: list(history.facts(db)),
    lambda db: failures.failure(db, MessageRef(GROUP, 1)),
    lambda db: failures.failure_by_id(db, 1),
    lambda db: failures.newest(db, at_most=3),
    failures.count,
    failures.wanted,
    failures.told,
)
FAILED = Failure(MessageRef(GROUP, 800), ALICE, NOON, "ValueError")
CHANGES = (
    lambda db: failures.record(db, [FAILED], now=NOON),
    lambda db: failures.want(db, None, now=NOON),
    lambda db: failures.settle(db, [FAILED.ref]),
    lambda db: failures.tell_of(db, kind="deaf", about=None, at=NOON),
)


async def all_of_it(store):
    """What a bot and its operator ask of the tables."""
    scene = Scene(store, Target())
    signal = await scene.sent("#idea BTC/USDT LONG")
    update = await scene.sent("TP1 hit", signal)
    lost = await scene.lost(long("#lost"), parts=2)
    await scene.refused("#refused", media=PHOTO)
    album = await scene.says("#album", media=PHOTO, album_id=9)
    await scene.says("", album, media=PHOTO, album_id=9)
    await scene.edits(update, "TP2 hit")
    await scene.edits(lost, "#lost short")
    await store.delete(GROUP, [album.id])
    await go_on(store, scene.target)
    (gone,) = await store.take_posts(TARGET) or [None]
    assert gone is None
    for _ in range(2):
        await scene.says("#more")
    (post,) = await store.take_posts(TARGET)
    await store.post_lightened(post, bare=True)
    await store.post_unsent(post)
    await store.set_aside(post)
    await store.take_aside(TARGET)
    await store.posted_after(TARGET, 500)
    await store.ancestors(post)
    await store.refuse_edit(says(ALICE, "#other", number=1))
    await store.album(GROUP, 9)
    await store.is_refused(signal.ref)
    await store.readable_again(signal.ref)
    await store.add_unreadable(UnreadableMessage(GROUP, 900, None, "ValueError"))
    await store.edit(says(ALICE, "#idea again", number=1), SignalFields())
    await store.prune_decisions(before=NOON)
    await store.last_posted(TARGET)
    await store.messages_gone(TARGET, [500])
    await store.release(SignalId(1))
    await store.retry(1)
    await store.pause()
    await store.resume()
    await store.orders_after(0)
    await store.last_order()
    await store.ended_flows()
    await store.cursor(GROUP)
    store.reached(Cursor(GROUP, 1, None, None, 1))
    await store.move_cursors([Cursor(GROUP, 2, None, None, 2)])
    await store.recorded(GROUP, active_since=NOON, before=5, limit=5)
    await store.last_activity(GROUP)
    await store.moved_chats()
    await store.cache_key()
    await store.counts()
    for query in QUERIES:
        await store.ask(query)
    for change in CHANGES:
        await store.change(change)


@pytest.fixture
def asked():
    """By its words, whatever SQLAlchemy is asked."""
    found = {}

    def note(_connection, statement, *_more):
        found[str(statement)] = statement

    event.listen(Engine, "before_execute", note)
    yield found
    event.remove(Engine, "before_execute", note)


@pytest.mark.long
async def test_what_is_asked_now_and_then_can_be_compiled_for_it(tmp_path, asked):
    """All that the relay, the operator and the picture ask, as they ask it."""
    store = SignalStore(Database(tmp_path / "signals.db", in_loop=True), clock=lambda: NOON)
    await store.open()
    await all_of_it(store)
    await store.close()

    theirs = {sql: each for sql, each in asked.items() if "ON CONFLICT" not in sql}
    assert len(theirs) > 70
    for sql, statement in theirs.items():
        assert str(statement.compile(dialect=POSTGRESQL)), sql


async def test_what_is_done_about_a_conflict_is_said_in_its_words():
    told = []
    db = create_mock_engine(
        "postgresql+psycopg://", lambda sql, *_: told.append(str(sql.compile(dialect=POSTGRESQL)))
    )

    async def run(work):
        return work(db)

    await cursors.Cursors(run, run, run, None, clock=lambda: NOON).move_chat(GROUP, TARGET)
    failures.record(db, [FAILED], now=NOON)
    failures.tell_of(db, kind="deaf", about=None, at=NOON)
    statements.keep_refused_edit(db, {"at": NOON, "recorded_at": NOON})

    assert sum(" ON CONFLICT " in sql for sql in told) == 4


WORDS = re.compile(
    r"\b(lastrowid|rowid|pragma|sqlite_master|randomblob|json_extract|strftime|typeof"
    r"|dialects|exec_driver_sql|text\()"
)


def code_of(path):
    """Without comments and docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    for each in ast.walk(tree):
        body = getattr(each, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            first.value.value = ""
    return ast.unparse(tree).lower()


@pytest.mark.long
def test_only_the_engine_knows_which_database_it_is():
    """All others say it in SQLAlchemy's words; hosts are elected on PostgreSQL alone."""
    found = {path.name for path in STORAGE.glob("*.py") if WORDS.search(code_of(path))}

    assert found == {"engine.py", "postgresql.py", "hosts.py", "lease.py"}
