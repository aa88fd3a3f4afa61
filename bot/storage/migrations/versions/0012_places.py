"""Places and topics, which are part of a post's unique key. SQLite makes that with the table only.

Databases of other kinds begin later than this.
"""

from alembic import op

revision, down_revision = "0012", "0011"

STEPS = (
    "ALTER TABLE signals ADD COLUMN topic BIGINT NOT NULL DEFAULT 0",
    """
    CREATE TABLE places (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        source TEXT NOT NULL,
        source_chat_id BIGINT,
        source_topic BIGINT NOT NULL,
        chat_id BIGINT NOT NULL,
        topic BIGINT NOT NULL,
        listed INTEGER NOT NULL,
        paused_at BIGINT
    )
    """,
    """
    INSERT INTO places (name, source, source_topic, chat_id, topic, listed)
    SELECT DISTINCT CAST(target_chat_id AS TEXT), '', 0, target_chat_id, 0, 1 FROM posts
    """,
    "ALTER TABLE posts RENAME TO posts_before",
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
        refused TEXT,
        recorded_at BIGINT NOT NULL,
        sent_version INTEGER,
        aside_at BIGINT,
        shown_media TEXT,
        sent_as TEXT,
        sent_after BIGINT,
        sent_to BIGINT,
        note TEXT,
        bare INTEGER,
        text TEXT,
        entities TEXT,
        media_kind TEXT,
        media_file_id TEXT,
        extras TEXT,
        album_id BIGINT,
        answers_chat_id BIGINT,
        answers_message_id BIGINT,
        hidden TEXT,
        returns INTEGER,
        topic BIGINT NOT NULL DEFAULT 0,
        place INTEGER NOT NULL DEFAULT 0,
        UNIQUE (source_chat_id, source_message_id, part, target_chat_id, topic, place)
    )
    """,
    """
    INSERT INTO posts (
        id, source_chat_id, source_message_id, part, target_chat_id, first_id, state, version,
        target_message_id, attempts, error, refused, recorded_at, sent_version, aside_at,
        shown_media, sent_as, sent_after, sent_to, note, bare, text, entities, media_kind,
        media_file_id, extras, album_id, answers_chat_id, answers_message_id, hidden, returns, place
    )
    SELECT
        b.id, b.source_chat_id, b.source_message_id, b.part, b.target_chat_id, b.first_id, b.state,
        b.version, b.target_message_id, b.attempts, b.error, b.refused, b.recorded_at,
        b.sent_version, b.aside_at, b.shown_media, b.sent_as, b.sent_after, b.sent_to, b.note,
        b.bare, b.text, b.entities, b.media_kind, b.media_file_id, b.extras, b.album_id,
        b.answers_chat_id, b.answers_message_id, b.hidden, b.returns, p.id
    FROM posts_before AS b JOIN places AS p ON p.chat_id = b.target_chat_id
    """,
    "DROP TABLE posts_before",
    "CREATE INDEX posts_by_state ON posts (state, target_chat_id, id)",
    "CREATE INDEX posts_by_place ON posts (target_chat_id, target_message_id)",
)


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
