"""The tables.

A change of them is three: a new revision in `migrations/versions`, for the databases that there are, the
same in the `Table` below, of which new ones are made, and `NEWEST`. A test compares the three. A revision
is never changed once it has been released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    column,
    event,
    func,
    literal_column,
    or_,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

# Names a SQLite file as ours ("SGRL"). https://www.sqlite.org/pragma.html#pragma_application_id
APPLICATION_ID: Final = 0x5347524C

NEWEST: Final = 19  # revision; its id has four digits

metadata = MetaData()


@event.listens_for(metadata, "before_create")
def _say_which_rows_on_a_server(_: MetaData, db: Connection, **_more: object) -> None:
    """Of partial indexes, as SQLite is told. Said with the tables, each start would load PostgreSQL's dialect."""
    if db.dialect.name == "postgresql":
        for index in (index for table in metadata.tables.values() for index in table.indexes):
            of_file = index.dialect_options["sqlite"]["where"]
            index.dialect_options["postgresql"]["where"] = of_file


# Without it a server that knows nothing of new tables yet reads all of a chat by this index, for the one
# message that it is asked for.
_OF_ALBUM: Final = column("album_id").is_not(None)

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
    Column("author_name", Text),  # as people see them; NULL: not told, or by an old version
    Column("topic", BigInteger, nullable=False, server_default="0"),  # of a forum; 0: none, General
    UniqueConstraint("source_chat_id", "source_message_id"),
    Index("signals_of_album", "source_chat_id", "album_id", sqlite_where=_OF_ALBUM),
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
    Column("author_name", Text),  # as of a signal
    # What it says has become of the signal, see `models.SignalEvent`. NULL: nothing beyond doubt, or
    # recorded by an old version.
    Column("event", Text),
    Column("event_target", Integer),
    Column("event_stop", Text),
    UniqueConstraint("source_chat_id", "source_message_id"),
    Index("signal_updates_of_signal", "signal_id"),
    Index("signal_updates_of_album", "source_chat_id", "album_id", sqlite_where=_OF_ALBUM),
)


def to_send(state: ColumnElement[str], number: ColumnElement[int]) -> ColumnElement[bool]:
    """Of a post: its message is to be sent first. With its words in it, so that the index serves."""
    deletion = state == literal_column("'delete'", String)
    return or_(state == literal_column("'pending'", String), and_(deletion, number.is_(None)))


_TO_SEND: Final = to_send(column("state"), column("target_message_id"))
_IN_LINE: Final[ColumnElement[int]] = func.coalesce(column("first_id"), column("id"))
_ASIDE: Final = column("aside_at").is_not(None)
_WAITS: Final = and_(column("original").is_not(None), column("translated").is_(None))

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
    Column("state", Text, nullable=False),  # see `posts.PostState`
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
    Column("shown_media", Text),  # see `posts.Post`, as for the next three
    Column("sent_as", Text),  # JSON
    Column("sent_after", BigInteger),
    Column("sent_to", BigInteger),
    # Why the rules of its place keep it from being shown there; NULL: they do not.
    Column("hidden", Text),
    Column("returns", Integer),  # see `posts.Post`; NULL: 0
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
    # Of a first part: what is to be translated, see `rules.translation`; NULL: nothing.
    Column("original", Text),
    # JSON: into which language, and why it was not; NULL: not yet, so `text` is not what is sent.
    Column("translated", Text),
    UniqueConstraint(
        *("source_chat_id", "source_message_id", "part", "target_chat_id", "topic", "place")
    ),
    Index("posts_by_state", "state", "target_chat_id", "id"),
    Index("posts_by_place", "target_chat_id", "target_message_id"),
    Index(
        *("posts_to_send", "target_chat_id", _IN_LINE, "part"),
        sqlite_where=_TO_SEND,
    ),
    Index("posts_aside", "target_chat_id", sqlite_where=_ASIDE),
    Index("posts_untranslated", "place", sqlite_where=_WAITS),
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

_FAILED: Final = column("error").is_not(None)

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
    # Few among very many, and asked for again and again.
    Index("decisions_failed", "recorded_at", sqlite_where=_FAILED),
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
    Column("again", Integer, nullable=False, server_default="0"),  # 1: see `models.Cursor`
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

# What people call themselves, for operators; see `storage.people`.
people = Table(
    "people",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("heard_at", BigInteger, nullable=False),  # the date of a message, unix seconds
)

# Which of several hosts leads, in one row; see `storage.lease`. Without a row there was never more than one.
lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1
    Column("epoch", BigInteger, nullable=False),  # one more with each election
    Column("host", Text, nullable=False),  # its name and the process's id
    Column("since", BigInteger, nullable=False),  # local clock, unix seconds
)

# Single values that belong to this database, such as the key of the cache's digests.
meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

# Alembic's own: which revision this is. Here so that a new database has it without Alembic.
alembic_version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), primary_key=True),
)
