"""What was missed while the bot was away is caught up."""

from alembic import op

revision, down_revision = "0002", "0001"

STEPS = (
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


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
