"""Posts that are set aside, in doubt, or elsewhere."""

from alembic import op

revision, down_revision = "0005", "0004"

STEPS = (
    "ALTER TABLE posts ADD COLUMN aside_at BIGINT",
    "ALTER TABLE posts ADD COLUMN shown_media TEXT",
    "ALTER TABLE posts ADD COLUMN sent_as TEXT",
    "ALTER TABLE posts ADD COLUMN sent_after BIGINT",
    "ALTER TABLE posts ADD COLUMN sent_to BIGINT",
    "CREATE INDEX posts_by_place ON posts (target_chat_id, target_message_id)",
)


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
