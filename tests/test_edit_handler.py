"""Edits and deletions: what is handed to the table, and what is said of it to whoever goes on."""

from __future__ import annotations

import pytest

from bot.handlers.edit_handler import EditHandler
from bot.models import MessageId
from tests.people import ALICE, BOB, GROUP, says


class Table:
    """Knows one message, and writes down what it is asked."""

    def __init__(self, *, known):
        self.known, self.asked = known, []

    async def edit(self, message, fields):
        self.asked.append(("edit", message.text, fields.pair))
        return self.known

    async def refuse_edit(self, message):
        self.asked.append(("refuse", message.text))
        return self.known

    async def to_be_decided_anew(self, ref, *, marked):
        return self.known

    async def delete(self, chat_id, ids, *, places=None):
        self.asked.append(("delete", chat_id, *ids))
        assert places is None
        return 3


def handler(table, *, permitted=None, edits=True, deletes=True):
    return EditHandler(table, permitted=permitted, relay_edits=edits, relay_deletes=deletes)


EDITED = says(ALICE, "#idea BTC/USDT LONG")


@pytest.mark.parametrize("known", [True, False])
async def test_it_tells_whether_an_edited_message_is_a_recorded_one(known):
    """One that is not goes on: the edit may have made a signal of it."""
    table = Table(known=known)

    assert await handler(table).changed(EDITED) is known
    assert await handler(table, permitted={ALICE}).changed(EDITED) is known
    assert table.asked == [("edit", EDITED.text, "BTC/USDT")] * 2


@pytest.mark.parametrize("known", [True, False])
async def test_of_one_not_permitted_the_edit_is_refused_and_no_other_edit(known):
    table = Table(known=known)

    assert await handler(table, permitted={BOB}).changed(EDITED) is known
    assert table.asked == [("refuse", EDITED.text)]


async def test_where_edits_are_not_relayed_the_table_hears_of_none_and_a_marker_still_counts():
    table = Table(known=True)

    assert await handler(table, edits=False).changed(EDITED) is False
    assert table.asked == []


@pytest.mark.parametrize("known", [True, False])
async def test_it_tells_whether_a_message_can_be_read_again(known):
    assert await handler(Table(known=known)).to_be_decided_anew(EDITED, marked=False) is known


async def test_deletions_are_counted_and_where_they_are_not_relayed_there_are_none():
    table = Table(known=True)
    ids = [MessageId(1), MessageId(2)]

    assert await handler(table, deletes=False).deleted(GROUP, ids) == 0
    assert table.asked == []
    assert await handler(table).deleted(GROUP, ids) == 3
    assert table.asked == [("delete", GROUP, 1, 2)]
