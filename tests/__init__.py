# Pyrogram asks for an event loop where it is first imported, an error from Python 3.14 on where
# there is none. The bot's own door gives it one, so whatever a test imports, that door comes first.
import bot.telegram  # noqa: F401
