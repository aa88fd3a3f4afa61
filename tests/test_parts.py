"""Whatever happens to a message, and when: its posts end as one that was told of nothing but the end."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from bot.models import Content
from bot.routes import Place
from bot.rules.presentation import Presentation
from bot.rules.render import in_words, render
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.carried_over import go_on
from tests.changing import Afternoon
from tests.people import TARGET


def posts_of(message, place, *, bare):
    said = Content(message.text, media=message.media)
    return [
        (post.text, post.media and post.media.identity)
        for post in render(in_words(said) if bare else said, place)
    ]


# By a rule every third text is not shown there, so that edits take posts out and bring them back.
RULES = [
    Place(TARGET),
    Place(TARGET, presentation=Presentation(skip=("^#[0-9]*[147]@",), footer="x")),
]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("place", RULES, ids=["as it is", "by rules"])
async def test_the_target_says_in_the_end_what_the_source_says(tmp_path, seed, place):
    """Each message once, in as many posts as it needs, however often it was cut anew meanwhile."""
    path = tmp_path / "signals.db"
    store = SignalStore(Database(path, in_loop=True), place=lambda *_: place)
    await store.open()
    afternoon = Afternoon(store, seed, place)
    await afternoon.happens()
    await go_on(store, afternoon.target)
    await store.close()

    with closing(sqlite3.connect(path)) as db:
        bare = {n for (n,) in db.execute("SELECT source_message_id FROM posts WHERE bare")}
        hidden = dict(
            db.execute("SELECT source_message_id, hidden FROM posts WHERE hidden IS NOT NULL")
        )
        left = db.execute(
            "SELECT state FROM posts WHERE state NOT IN ('sent', 'deleted')"
        ).fetchall()
    expected = [
        post
        for message in afternoon.messages.values()
        if hidden.get(message.id) != "its signal is not shown there"
        for post in posts_of(message, place, bare=message.id in bare)
    ]
    found = [(text, media) for _, _, text, _, media, *_ in afternoon.target.rows()]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert left == []
