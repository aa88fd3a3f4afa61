"""Whether a box is to be read again is told beside its cursor, which moves on meanwhile."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0018", "0017"


def upgrade() -> None:
    op.add_column("cursors", sa.Column("again", sa.Integer, nullable=False, server_default="0"))
