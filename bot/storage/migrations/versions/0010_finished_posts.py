"""Posts are finished when they are recorded. Texts of what is still to be done: `Parts.carry_over`."""

from alembic import op

revision, down_revision = "0010", "0009"

STEPS = (
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


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
