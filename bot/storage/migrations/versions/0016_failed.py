"""What failed is found without a look at all that was refused."""

from alembic import op

revision, down_revision = "0016", "0015"


def upgrade() -> None:
    op.execute("CREATE INDEX decisions_failed ON decisions (recorded_at) WHERE error IS NOT NULL")
