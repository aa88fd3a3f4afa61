"""`routes.toml` of a few sources, as a live test writes it."""

from __future__ import annotations

WITHOUT = {"SOURCE_CHAT_ID": None, "TARGET_CHAT_ID": None, "SOURCE_ALLOWED_USERS": None}


def source(name, chat, *places, more=""):
    tables = "".join(f'[[source.place]]\nchat = "{place}"\n' for place in places)
    return f'[[source]]\nname = "{name}"\nchat = "{chat}"\nallowed_users = "everyone"\n{more}{tables}\n'
