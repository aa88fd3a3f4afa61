"""What a library is told to keep of chats and people, as their access hashes are needed later."""

from __future__ import annotations

import sqlite3

import pytest
from pyrogram.raw import types

from bot.telegram.layers import build
from bot.telegram.peers import Peers


class Library:
    """Keeps what it is told, unless its file is locked."""

    def __init__(self):
        self.told = []
        self.locked = False

    async def fetch_peers(self, peers):
        if self.locked:
            raise sqlite3.OperationalError("database is locked")
        self.told += [(each.id, each.access_hash, each.username) for each in peers]


def alice(**changed):
    return build(types.User, **{"id": 7, "access_hash": 70, "username": "alice", **changed})


def naming(*users):
    return types.Updates(updates=[], users=[*users], chats=[], date=0, seq=0)


@pytest.fixture
def peers():
    return Peers(None)


async def test_who_is_named_again_as_before_is_not_written_again(peers):
    library = Library()

    for _ in range(3):
        await peers.keep(library, naming(alice()))

    assert library.told == [(7, 70, "alice")]


@pytest.mark.parametrize("changed", [{"access_hash": 71}, {"username": "alice2"}])
async def test_what_has_changed_is_written(peers, changed):
    library = Library()
    await peers.keep(library, naming(alice()))

    await peers.keep(library, naming(alice(**changed)))
    await peers.keep(library, naming(alice()))

    now = alice(**changed)
    assert library.told == [(7, 70, "alice"), (7, now.access_hash, now.username), (7, 70, "alice")]


async def test_what_could_not_be_written_is_written_when_it_is_told_again(peers):
    library = Library()
    library.locked = True
    await peers.keep(library, naming(alice()))
    library.locked = False

    await peers.keep(library, naming(alice()))

    assert library.told == [(7, 70, "alice")]


async def test_another_login_knows_nobody_yet(peers):
    first, second = Library(), Library()
    await peers.keep(first, naming(alice()))

    await peers.keep(second, naming(alice()))

    assert second.told == first.told == [(7, 70, "alice")]
