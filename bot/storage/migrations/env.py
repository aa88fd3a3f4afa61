"""How Alembic runs the revisions: within the transaction of whoever asks; see `bot.storage.migration`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
