"""Posts that are translated before they are sent."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0013", "0012"


def upgrade() -> None:
    op.add_column("posts", sa.Column("original", sa.Text))
    op.add_column("posts", sa.Column("translated", sa.Text))
    waits = sa.text("original IS NOT NULL AND translated IS NULL")
    op.create_index(
        "posts_untranslated", "posts", ["place"], sqlite_where=waits, postgresql_where=waits
    )
