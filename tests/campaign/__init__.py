"""Kill the running bot, again and again, and look whether a subscriber would notice.

`expected` says what the target is to show of what was said (pure), `talk` plays the group,
`hardships` is what Telegram, a moderator and the network do meanwhile, `kills` ends the program,
`storm` measures how long a new signal waits while edits pour in. `python -m tests.campaign --help`.
"""
