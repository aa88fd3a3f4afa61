"""Which of several hosts leads."""

from alembic import op

revision, down_revision = "0015", "0014"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE lease (
            id INTEGER NOT NULL PRIMARY KEY,
            epoch BIGINT NOT NULL,
            host TEXT NOT NULL,
            since BIGINT NOT NULL
        )
        """
    )
