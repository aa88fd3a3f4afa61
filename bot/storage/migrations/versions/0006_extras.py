"""Polls, buttons, quotes and the like."""

from alembic import op

revision, down_revision = "0006", "0005"

STEPS = (
    "ALTER TABLE signals ADD COLUMN extras TEXT",
    "ALTER TABLE signal_updates ADD COLUMN extras TEXT",
    "ALTER TABLE posts ADD COLUMN note TEXT",
    "ALTER TABLE posts ADD COLUMN bare INTEGER",
)


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
