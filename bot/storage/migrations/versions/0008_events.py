"""What updates say has become of their signals."""

from alembic import op

revision, down_revision = "0008", "0007"

STEPS = (
    "ALTER TABLE signals ADD COLUMN leverage TEXT",
    "ALTER TABLE signal_updates ADD COLUMN event TEXT",
    "ALTER TABLE signal_updates ADD COLUMN event_target INTEGER",
    "ALTER TABLE signal_updates ADD COLUMN event_stop TEXT",
)


def upgrade() -> None:
    for step in STEPS:
        op.execute(step)
