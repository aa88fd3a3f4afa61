"""The tables, and the numbered steps that lead to them.

A step is never changed once it has been released: it runs once per database, in one transaction
with its number. A change is a new step at the end *and* the same change in the `Table` below; a
test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from bot.storage.places_step import PLACES

# Names a SQLite file as ours ("SGRL"). https://www.sqlite.org/pragma.html#pragma_application_id
APPLICATION_ID: Final = 0x5347524C

metadata = MetaData()

# Prices are decimal text, exactly as they were read; JSON columns hold what `store` writes there.
signals = Table(
    "signals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_chat_id", BigInteger, nullable=False),
    Column("source_message_id", BigInteger, nullable=False),
    Column("source_user_id", BigInteger, nullable=False),  # the flow's owner; < 0 is a chat
    Column("at", BigInteger, nullable=False),  # the message's date, unix seconds
    Column("last_owner_activity", BigInteger),  # NULL: missing, so only the owner continues
    Column("marker", Text, nullable=False),  # the marker or pattern that matched
    Column("text", Text, nullable=False),
    Column("entities", Text, nullable=False),  # JSON
    Column("media_kind", Text),
    Column("media_file_id", Text),
    Column("album_id", BigInteger),
    Column("pair", Text),
    Column("direction", Text),
    Column("timeframe", Text),
    Column("entry_low", Text),
    Column("entry_high", Text),
    Column("take_profits", Text, nullable=False),  # JSON list of decimal text
    Column("stop", Text),
    Column("risk", Text),
    Column("recorded_at", BigInteger, nullable=False),  # local clock, unix seconds
    Column("begun_at", BigInteger),  # the edit that may have made it a signal; NULL: `at`
    Column("extras", Text),  # JSON, see `bot.extras`; NULL: it is shown as any other
    Column("leverage", Text),
    Column("topic", BigInteger, nullable=False, server_default="0"),  # of a forum; 0: none, General
    UniqueConstraint("source_chat_id", "source_message_id"),
    Index("signals_of_album", "source_chat_id", "album_id"),
    sqlite_autoincrement=True,  # a signal's id is never used again: caches are keyed by it
)

signal_updates = Table(
    "signal_updates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("signal_id", ForeignKey("signals.id"), nullable=False),
    Column("source_chat_id", BigInteger, nullable=False),
    Column("source_message_id", BigInteger, nullable=False),
    Column("source_user_id", BigInteger, nullable=False),
    Column("reply_to_message_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("entities", Text, nullable=False),
    Column("media_kind", Text),
    Column("media_file_id", Text),
    Column("album_id", BigInteger),
    Column("reason", Text, nullable=False),  # owner | released
    Column("tier", Text),
    Column("recorded_at", BigInteger, nullable=False),
    Column("reply_to_chat_id", BigInteger),  # NULL: this chat; else the one it was before moving
    Column("extras", Text),  # as of a signal
    # What it says has become of the signal, see `models.SignalEvent`. NULL: nothing beyond doubt, or
    # recorded by an old version.
    Column("event", Text),
    Column("event_target", Integer),
    Column("event_stop", Text),
    UniqueConstraint("source_chat_id", "source_message_id"),
    Index("signal_updates_of_signal", "signal_id"),
    Index("signal_updates_of_album", "source_chat_id", "album_id"),
)

# The outbox and the id map in one: what is to be posted, and as which message it was.
posts = Table(
    "posts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_chat_id", BigInteger, nullable=False),
    Column("source_message_id", BigInteger, nullable=False),
    Column("part", Integer, nullable=False),  # of a text too long for one message, from 0
    Column("target_chat_id", BigInteger, nullable=False),
    Column("first_id", BigInteger),  # NULL: this is part 0; later parts stand in its place in line
    Column("state", Text, nullable=False),  # see `models.PostState`
    Column("version", Integer, nullable=False),  # how often what it says has changed
    Column("target_message_id", BigInteger),  # NULL until sent
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("refused", Text),  # FAILED: the state in which Telegram refused it
    Column("recorded_at", BigInteger, nullable=False),
    # The version that stands in the target, or may stand there: written before it is sent.
    # NULL: none does.
    Column("sent_version", Integer),
    Column("aside_at", BigInteger),  # local clock; NULL: in the line, not set aside
    Column("shown_media", Text),  # see `models.Post`, as for the next three
    Column("sent_as", Text),  # JSON
    Column("sent_after", BigInteger),
    Column("sent_to", BigInteger),
    Column("note", Text),  # what it was posted without, and why; NULL: without nothing
    Column("bare", Integer),  # 1: Telegram refused its medium, so it is a post of words alone
    # What it says, finished; see `storage.parts`. NULL: sent by an old version, which kept no texts.
    Column("text", Text),
    Column("entities", Text),
    Column("media_kind", Text),
    Column("media_file_id", Text),
    Column("extras", Text),
    Column("album_id", BigInteger),  # it is posted with the others of its album
    # The source message that it is an answer to, of later parts their own; NULL: to none.
    Column("answers_chat_id", BigInteger),
    Column("answers_message_id", BigInteger),
    Column("topic", BigInteger, nullable=False, server_default="0"),  # of a forum; 0: none
    Column("place", Integer, nullable=False, server_default="0"),  # in `places`; 0: of none
    UniqueConstraint(
        *("source_chat_id", "source_message_id", "part", "target_chat_id", "topic", "place")
    ),
    Index("posts_by_state", "state", "target_chat_id", "id"),
    Index("posts_by_place", "target_chat_id", "target_message_id"),
)

# Where posts go, as it is listed or once was; see `storage.places`.
places = Table(
    "places",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_chat_id", BigInteger),
    Column("source_topic", BigInteger, nullable=False),
    Column("chat_id", BigInteger, nullable=False),
    Column("topic", BigInteger, nullable=False),
    Column("listed", Integer, nullable=False),  # 0: no more, so its posts wait
    Column("paused_at", BigInteger),  # local clock; NULL: it is not paused
    sqlite_autoincrement=True,  # posts are kept for longer than their place
)

# What was refused, for "why was my reply not relayed?". Kept for a while; see `prune_decisions`.
decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_chat_id", BigInteger, nullable=False),
    Column("source_message_id", BigInteger, nullable=False),
    Column("source_user_id", BigInteger),  # NULL: the author cannot be told
    Column("signal_id", BigInteger),  # NULL: not a reply into a flow
    Column("reply_to_message_id", BigInteger),  # NULL: not a reply, or recorded by an old version
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("tier", Text),
    Column("at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("error", Text),  # of what FAILED; see `storage.failures`
    Column("again", Integer),  # the order to read it again; NULL: there is none
    UniqueConstraint("source_chat_id", "source_message_id"),
    Index("decisions_of_signal", "signal_id"),
    Index("decisions_by_age", "at"),
)

# Edits of recorded messages by authors who are permitted no more: what is posted stays as it is.
# The latest of each message.
refused_edits = Table(
    "refused_edits",
    metadata,
    Column("source_chat_id", BigInteger, primary_key=True, autoincrement=False),
    Column("source_message_id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger),  # of the edit, unix seconds; NULL: not told
    Column("recorded_at", BigInteger, nullable=False),  # local clock, unix seconds
)

# How far Telegram's updates are dealt with, per update box.
# https://core.telegram.org/api/updates#update-handling
cursors = Table(
    "cursors",
    metadata,
    Column("box", Text, primary_key=True),  # see `models.Cursor`
    Column("pts", BigInteger, nullable=False),
    Column("qts", BigInteger),
    Column("date", BigInteger),
    Column("recorded_at", BigInteger, nullable=False),
    Column("message_id", BigInteger),  # NULL: no message was seen yet
)

# Basic groups that became supergroups: the settings may go on naming the old id.
moved_chats = Table(
    "moved_chats",
    metadata,
    Column("old_chat_id", BigInteger, primary_key=True, autoincrement=False),
    Column("new_chat_id", BigInteger, nullable=False),
)

# What an operator ordered from a shell, for the running bot to hear of; see `bot.admin.control`. Kept:
# they are few, and say who ended a flow.
orders = Table(
    "orders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),  # see `models.OrderKind`
    Column("subject", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),  # local clock, unix seconds
    sqlite_autoincrement=True,  # the bot asks for what is newer than the last it heard
)

# When the operators were last told of what; see `bot.admin.alerts`.
alerts = Table(
    "alerts",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("about", BigInteger, primary_key=True, autoincrement=False),  # a chat; 0: no chat
    Column("told_at", BigInteger, nullable=False),  # local clock, unix seconds
)

# Single values that belong to this database, such as the key of the cache's digests.
meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

_FIRST: Final = (
    """
    CREATE TABLE signals (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        source_chat_id BIGINT NOT NULL,
        source_message_id BIGINT NOT NULL,
        source_user_id BIGINT NOT NULL,
        at BIGINT NOT NULL,
        last_owner_activity BIGINT,
        marker TEXT NOT NULL,
        text TEXT NOT NULL,
        entities TEXT NOT NULL,
        media_kind TEXT,
        media_file_id TEXT,
        album_id BIGINT,
        pair TEXT,
        direction TEXT,
        timeframe TEXT,
        entry_low TEXT,
        entry_high TEXT,
        take_profits TEXT NOT NULL,
        stop TEXT,
        risk TEXT,
        recorded_at BIGINT NOT NULL,
        UNIQUE (source_chat_id, source_message_id)
    )
    """,
    """
    CREATE TABLE signal_updates (
        id INTEGER NOT NULL PRIMARY KEY,
        signal_id INTEGER NOT NULL REFERENCES signals (id),
        source_chat_id BIGINT NOT NULL,
        source_message_id BIGINT NOT NULL,
        source_user_id BIGINT NOT NULL,
        reply_to_message_id BIGINT NOT NULL,
        at BIGINT NOT NULL,
        text TEXT NOT NULL,
        entities TEXT NOT NULL,
        media_kind TEXT,
        media_file_id TEXT,
        album_id BIGINT,
        reason TEXT NOT NULL,
        tier TEXT,
        recorded_at BIGINT NOT NULL,
        UNIQUE (source_chat_id, source_message_id)
    )
    """,
    "CREATE INDEX signal_updates_of_signal ON signal_updates (signal_id)",
    """
    CREATE TABLE posts (
        id INTEGER NOT NULL PRIMARY KEY,
        source_chat_id BIGINT NOT NULL,
        source_message_id BIGINT NOT NULL,
        part INTEGER NOT NULL,
        target_chat_id BIGINT NOT NULL,
        first_id BIGINT,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        target_message_id BIGINT,
        attempts INTEGER NOT NULL,
        error TEXT,
        recorded_at BIGINT NOT NULL,
        UNIQUE (source_chat_id, source_message_id, part, target_chat_id)
    )
    """,
    "CREATE INDEX posts_by_state ON posts (state, target_chat_id, id)",
    """
    CREATE TABLE decisions (
        id INTEGER NOT NULL PRIMARY KEY,
        source_chat_id BIGINT NOT NULL,
        source_message_id BIGINT NOT NULL,
        source_user_id BIGINT,
        signal_id BIGINT,
        outcome TEXT NOT NULL,
        reason TEXT NOT NULL,
        tier TEXT,
        at BIGINT NOT NULL,
        recorded_at BIGINT NOT NULL,
        UNIQUE (source_chat_id, source_message_id)
    )
    """,
    "CREATE INDEX decisions_of_signal ON decisions (signal_id)",
    "CREATE INDEX decisions_by_age ON decisions (at)",
    """
    CREATE TABLE cursors (
        box TEXT NOT NULL PRIMARY KEY,
        pts BIGINT NOT NULL,
        qts BIGINT,
        date BIGINT,
        recorded_at BIGINT NOT NULL
    )
    """,
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL)",
    # Outside what an attacker with the cache directory can read: a new database has a new key,
    # so no cache outlives the table it was made from.
    "INSERT INTO meta (name, value) VALUES ('cache_key', randomblob(32))",
)

_CATCHING_UP: Final = (
    "ALTER TABLE cursors ADD COLUMN message_id BIGINT",
    "ALTER TABLE posts ADD COLUMN sent_version INTEGER",
    "UPDATE posts SET sent_version = version WHERE state IN ('sent', 'delete')",
    # What is edited and not yet shown so stands in the target as some earlier version.
    "UPDATE posts SET sent_version = version - 1 WHERE state = 'edit'",
    "ALTER TABLE signal_updates ADD COLUMN reply_to_chat_id BIGINT",
    "CREATE INDEX signals_of_album ON signals (source_chat_id, album_id)",
    "CREATE INDEX signal_updates_of_album ON signal_updates (source_chat_id, album_id)",
    "CREATE TABLE moved_chats (old_chat_id BIGINT NOT NULL PRIMARY KEY, new_chat_id BIGINT NOT NULL)",
)

_ORDERS: Final = (
    """
    CREATE TABLE orders (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        subject BIGINT NOT NULL,
        at BIGINT NOT NULL
    )
    """,
    "ALTER TABLE posts ADD COLUMN refused TEXT",
    "ALTER TABLE decisions ADD COLUMN reply_to_message_id BIGINT",
)

_RULES: Final = (
    "ALTER TABLE signals ADD COLUMN begun_at BIGINT",
    """
    CREATE TABLE refused_edits (
        source_chat_id BIGINT NOT NULL,
        source_message_id BIGINT NOT NULL,
        at BIGINT,
        recorded_at BIGINT NOT NULL,
        PRIMARY KEY (source_chat_id, source_message_id)
    )
    """,
)

_DELIVERY: Final = (
    "ALTER TABLE posts ADD COLUMN aside_at BIGINT",
    "ALTER TABLE posts ADD COLUMN shown_media TEXT",
    "ALTER TABLE posts ADD COLUMN sent_as TEXT",
    "ALTER TABLE posts ADD COLUMN sent_after BIGINT",
    "ALTER TABLE posts ADD COLUMN sent_to BIGINT",
    "CREATE INDEX posts_by_place ON posts (target_chat_id, target_message_id)",
)

_EXTRAS: Final = (
    "ALTER TABLE signals ADD COLUMN extras TEXT",
    "ALTER TABLE signal_updates ADD COLUMN extras TEXT",
    "ALTER TABLE posts ADD COLUMN note TEXT",
    "ALTER TABLE posts ADD COLUMN bare INTEGER",
)

_FAILURES: Final = (
    "ALTER TABLE decisions ADD COLUMN error TEXT",
    "ALTER TABLE decisions ADD COLUMN again INTEGER",
    """
    CREATE TABLE alerts (
        kind TEXT NOT NULL,
        about BIGINT NOT NULL,
        told_at BIGINT NOT NULL,
        PRIMARY KEY (kind, about)
    )
    """,
)

_EVENTS: Final = (
    "ALTER TABLE signals ADD COLUMN leverage TEXT",
    "ALTER TABLE signal_updates ADD COLUMN event TEXT",
    "ALTER TABLE signal_updates ADD COLUMN event_target INTEGER",
    "ALTER TABLE signal_updates ADD COLUMN event_stop TEXT",
)

_OUTDATED: Final = (
    # An edit that Telegram refused was counted as done. Once more: one that changes nothing is fine.
    """
    UPDATE posts SET state = 'edit', attempts = 0
    WHERE state = 'sent' AND version > 0 AND error LIKE 'Telegram refused: 40_ %'
    """,
)

# Behind the last step `Parts.carry_over` makes the texts of what is still to be done.
_FINISHED_POSTS: Final = (
    "ALTER TABLE posts ADD COLUMN text TEXT",
    "ALTER TABLE posts ADD COLUMN entities TEXT",
    "ALTER TABLE posts ADD COLUMN media_kind TEXT",
    "ALTER TABLE posts ADD COLUMN media_file_id TEXT",
    "ALTER TABLE posts ADD COLUMN extras TEXT",
    "ALTER TABLE posts ADD COLUMN album_id BIGINT",
    "ALTER TABLE posts ADD COLUMN answers_chat_id BIGINT",
    "ALTER TABLE posts ADD COLUMN answers_message_id BIGINT",
    """
    UPDATE posts SET (media_kind, media_file_id, album_id) = (
        SELECT r.media_kind, r.media_file_id, r.album_id FROM (
            SELECT source_chat_id, source_message_id, media_kind, media_file_id, album_id
            FROM signals
            UNION ALL
            SELECT source_chat_id, source_message_id, media_kind, media_file_id, album_id
            FROM signal_updates
        ) AS r
        WHERE r.source_chat_id = posts.source_chat_id
          AND r.source_message_id = posts.source_message_id
    )
    WHERE part = 0
    """,
    """
    UPDATE posts SET (answers_chat_id, answers_message_id) = (
        SELECT coalesce(u.reply_to_chat_id, u.source_chat_id), u.reply_to_message_id
        FROM signal_updates AS u
        WHERE u.source_chat_id = posts.source_chat_id
          AND u.source_message_id = posts.source_message_id
    )
    WHERE part = 0
    """,
    """
    UPDATE posts SET answers_chat_id = source_chat_id, answers_message_id = source_message_id
    WHERE part > 0
    """,
)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    _FIRST,
    _CATCHING_UP,
    _ORDERS,
    _RULES,
    _DELIVERY,
    _EXTRAS,
    _FAILURES,
    _EVENTS,
    _OUTDATED,
    _FINISHED_POSTS,
    PLACES,
)
