"""Links to messages, in every form that Telegram's programs copy."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.admin.links import link, pointer
from bot.errors import UsageError
from bot.models import ChatId, MessageId, MessageRef

CHAT = -1002880553977


@pytest.mark.parametrize(
    "text",
    [
        "https://t.me/c/2880553977/15",
        " https://t.me/c/2880553977/15/ ",
        "http://t.me/c/2880553977/15?single",
        "t.me/c/2880553977/15",
        "https://www.t.me/c/2880553977/15",
        "https://telegram.me/c/2880553977/15",
        "https://t.me/c/2880553977/7/15",
        "https://t.me/c/2880553977/15?thread=7",
        "tg://privatepost?channel=2880553977&post=15",
        "tg://privatepost?channel=2880553977&post=15&thread=7&single",
        "-1002880553977:15",
    ],
)
def test_a_link_says_which_message_of_which_chat(text):
    assert pointer(text) == (15, CHAT, None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("15", None),
        ("https://t.me/somegroup/15", "@somegroup"),
        ("https://t.me/s/somegroup/15", "@somegroup"),
        ("https://t.me/somegroup/7/15", "@somegroup"),
        ("https://somegroup.t.me/15", "@somegroup"),
        ("tg://resolve?domain=somegroup&post=15", "@somegroup"),
        ("https://t.me/somechannel/3?comment=15", "the discussion of somechannel"),
        ("https://t.me/c/2880553977/3?comment=15", "the discussion of 2880553977"),
        ("tg://privatepost?channel=2880553977&post=3&comment=15", "the discussion of 2880553977"),
    ],
)
def test_where_the_chat_cannot_be_told_offline_the_message_still_can(text, name):
    assert pointer(text) == (15, None, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-15",
        "hello",
        "https://t.me/",
        "https://t.me/somegroup",
        "https://t.me/+AbCdEfGh",
        "https://t.me/c/2880553977",
        "https://t.me/c/2880553977/1/2/3",
        "https://t.me/c/x/15",
        "https://t.me/somegroup/x",
        "https://t.me/somegroup/3?comment=x",
        "https://example.org/c/2880553977/15",
        "https://t.me.example.org/c/2880553977/15",
        "tg://join?invite=AbC",
        "https://[::1/c/2880553977/15",
        "-100:١٥",
        "9" * 30,
    ],
)
def test_what_names_no_message_is_refused_with_the_forms_that_do(text):
    with pytest.raises(UsageError, match="names no message: give a link"):
        pointer(text)


@given(st.text())
def test_no_text_is_an_error_of_another_kind(text):
    with suppress(UsageError):
        pointer(text)


@given(
    st.integers(-(10**12) - 10**10, 10**10).filter(bool),
    st.integers(1, 2**31 - 1),
)
def test_a_link_that_we_show_is_one_that_we_read(chat_id, message_id):
    ref = MessageRef(ChatId(chat_id), MessageId(message_id))

    assert pointer(link(ref)) == (message_id, chat_id, None)
