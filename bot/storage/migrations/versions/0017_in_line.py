"""The first of a line is found without a look at those behind it."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0017", "0016"


def upgrade() -> None:
    to_send = sa.text("state = 'pending' OR state = 'delete' AND target_message_id IS NULL")
    in_order: list[str | sa.TextClause] = [
        "target_chat_id",
        sa.text("coalesce(first_id, id)"),
        "part",
    ]
    op.create_index(
        "posts_to_send", "posts", in_order, sqlite_where=to_send, postgresql_where=to_send
    )
    aside = sa.text("aside_at IS NOT NULL")
    op.create_index(
        "posts_aside",
        "posts",
        ["target_chat_id"],
        sqlite_where=aside,
        postgresql_where=aside,
    )
