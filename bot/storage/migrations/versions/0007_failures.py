"""What could not be dealt with, and alerts."""

from alembic import op

revision, down_revision = "0007", "0006"

STEPS = (
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


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
