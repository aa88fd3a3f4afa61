"""What a place shows."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0011", "0010"


def upgrade() -> None:
    op.add_column("signals", sa.Column("author_name", sa.Text))
    op.add_column("signal_updates", sa.Column("author_name", sa.Text))
    op.add_column("posts", sa.Column("hidden", sa.Text))
    op.add_column("posts", sa.Column("returns", sa.Integer))
