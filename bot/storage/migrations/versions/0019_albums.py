"""What is of no album stands in no index of albums."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0019", "0018"


def upgrade() -> None:
    of_album = sa.text("album_id IS NOT NULL")
    for table in ("signals", "signal_updates"):
        name = f"{table}_of_album"
        op.drop_index(name, table)
        op.create_index(
            name,
            table,
            ["source_chat_id", "album_id"],
            sqlite_where=of_album,
            postgresql_where=of_album,
        )
