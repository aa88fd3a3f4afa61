"""Signals made by edits, and edits that are refused."""

from alembic import op

revision, down_revision = "0004", "0003"

STEPS = (
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


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
