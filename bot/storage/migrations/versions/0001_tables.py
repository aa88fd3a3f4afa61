"""The tables of the first version."""

from alembic import op

revision, down_revision = "0001", None

STEPS = (
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


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
