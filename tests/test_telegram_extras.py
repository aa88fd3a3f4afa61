"""How a message is shown: read from whatever Telegram tells, said in whatever the library can say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bot.errors import DressRefused
from bot.extras import Extras, LinkButton
from bot.telegram.extras import as_fields, extras


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"silent": True}, Extras(silent=True)),
        ({"invert_media": True}, Extras(above=True)),
        ({"message": "no link"}, None),
        ({"message": "see https://example.org"}, Extras(no_preview=True)),
        ({"effect": 5}, Extras(lost=("animated effect",))),
        ({}, None),
    ],
)
def test_what_is_out_of_the_ordinary_is_kept(told, shown):
    """Also of a library whose messages have not all of these fields."""
    assert extras(SimpleNamespace(**told)) == shown


def test_all_that_a_query_can_say_is_said_to_it():
    """Which of it the library's layer can say is for whoever builds the query."""
    fields = as_fields(Extras(silent=True, no_preview=True, above=True), is_bot=False)
    assert fields == {
        "silent": True,
        "no_webpage": True,
        "invert_media": True,
        "reply_markup": None,
    }
    assert as_fields(None, is_bot=True) == {}


def test_buttons_of_a_persons_account_are_refused_before_telegram_is_asked():
    buttons = ((LinkButton("Chart", "https://example.org"),),)
    with pytest.raises(DressRefused) as caught:
        as_fields(Extras(buttons=buttons), is_bot=False)
    assert caught.value.part == "buttons"
    assert as_fields(Extras(buttons=buttons), is_bot=True)["reply_markup"] is not None
