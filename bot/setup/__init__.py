"""`python -m bot setup`: asks for the settings, tries them on Telegram, and writes `.env`."""
