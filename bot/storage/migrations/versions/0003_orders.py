"""Orders by operators."""

from alembic import op

revision, down_revision = "0003", "0002"

STEPS = (
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


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
