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
from bot.storage import (
    about,
    cursors,
    failures,
    line,
    messages,
    outbox,
    parts,
    schema,
    statements,
    untranslated,
    waiting,
)
from bot.storage.engine import Database, Prepared
from bot.storage.store import SignalStore
from tests.asked import FAILED, all_of_it
from tests.people import GROUP, NOON, TARGET

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
