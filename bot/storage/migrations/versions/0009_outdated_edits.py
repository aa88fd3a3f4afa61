"""An edit that Telegram refused was counted as done. Once more: one that changes nothing is fine."""

from alembic import op

revision, down_revision = "0009", "0008"

STEPS = (
    """
    UPDATE posts SET state = 'edit', attempts = 0
    WHERE state = 'sent' AND version > 0 AND error LIKE 'Telegram refused: 40_ %'
    """,
)


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
