"""Where a value of a setting is one, to the last number, and what is said where it is none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.setting_chats import parse_address, parse_id, parse_people, parse_posters, parse_targets
from bot.setting_values import (
    parse_bool,
    parse_count,
    parse_days,
    parse_markers,
    parse_port,
    parse_ttl,
    shown,
)

NONE = [
    (parse_port, "0"),
    (parse_port, "65536"),
    (parse_port, "-1"),
    (parse_days, "10000"),
    (parse_days, "-1"),
    (parse_count, "0"),
    (parse_count, "x"),
    (parse_ttl, "0"),
    (parse_ttl, "-1"),
    (parse_ttl, "87601"),
    (parse_ttl, "inf"),
    (parse_ttl, "nan"),
    (parse_ttl, "three"),
    (parse_bool, "maybe"),
    (parse_id, "0"),
    (parse_id, "+5"),
    (parse_id, "9223372036854775808"),
    (parse_id, "-9223372036854775808"),
]


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_port, "1", 1),
        (parse_port, " 65535 ", 65_535),
        (parse_days, "0", timedelta(0)),
        (parse_days, "9999", timedelta(days=9_999)),
        (parse_count, "1", 1),
        (parse_ttl, "1", timedelta(hours=1)),
        (parse_ttl, "0.5", timedelta(minutes=30)),
        (parse_ttl, "87600", timedelta(days=3_650)),
        (parse_bool, "Yes", True),
        (parse_bool, "0", False),
        (parse_markers, "#idea, #идея", ("#idea", "#идея")),
        (parse_id, "9223372036854775807", 2**63 - 1),
        (parse_id, "-9223372036854775807", 1 - 2**63),
    ],
)
def test_the_least_and_the_most_are_taken(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize(("parse", "text"), NONE)
def test_what_is_beyond_is_named(parse, text):
    with pytest.raises(ValueError, match=r"is not a|is neither") as raised:
        parse(text)
    assert repr(text) in str(raised.value)


def test_a_value_is_shown_up_to_the_length_of_an_id_and_a_secret_is_longer():
    assert shown("-9223372036854775808") == "'-9223372036854775808'"
    assert shown("123456789:AbCdEfGhIjK") == "a text of 21 characters"


@pytest.mark.parametrize("text", ["", " , "])
@pytest.mark.parametrize("parse", [parse_markers, parse_targets, parse_posters])
def test_a_list_of_nothing_is_none(parse, text):
    with pytest.raises(ValueError, match="is set but empty"):
        parse(text)


def test_whoever_gives_orders_is_a_user_and_the_first_who_is_none_is_named():
    assert parse_people("5,6") == (5, 6)
    with pytest.raises(ValueError, match=r"^-7 is a chat: only users can give orders$"):
        parse_people("5,-7,-8")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("-1001234567890", (-1001234567890, 0)),
        ("-1001234567890#12", (-1001234567890, 12)),
        (" -1001234567890 # 12 ", (-1001234567890, 12)),
        ("-77", (-77, 0)),
    ],
)
def test_a_topic_stands_behind_its_chat(text, address):
    assert tuple(parse_address(text)) == address


@pytest.mark.parametrize("text", ["-1001234567890#", "-1001234567890#0", "-77#5"])
def test_what_is_no_topic_is_refused(text):
    with pytest.raises(ValueError, match=r"behind # stands|only a supergroup"):
        parse_address(text)
