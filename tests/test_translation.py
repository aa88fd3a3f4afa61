"""Whatever a service answers: numbers, tickers, @names and links are those of the original, or it is not posted."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.endpoints import Translation
from bot.errors import NotTranslated, SettingsError
from bot.models import Content, Entity
from bot.routes import Place
from bot.rules.presentation import About, present
from bot.rules.presentation_keys import presentation_from
from bot.rules.render import render
from bot.rules.retext import Formatted
from bot.rules.translation import carried, from_json, has_words, in_the_original, untranslated
from tests.about import SIGNAL
from tests.formatted import formatted, starts
from tests.people import TARGET
from tests.translator import latin

SERVICE = {"to": "en", "url": "https://translate.example.org"}
WORDS = ["вход", "стоп", "Закрываем", "половину", "🚀", "или", "тейк", "риск,", "всё!", "привет"]
NUMBERS = ["64000", "1.5", "0,25", "-5", "7", "10'000"]
TICKERS = ["BTC/USDT", "#ETH", "$SOL", "PEPE", "ETHUSDT", "#FF"]
NAMES = ["@alice", "@the_boss"]
LINKS = ["https://example.org/a?b=1", "t.me/signals/7", "www.example.com", "example.net", "a@b.org"]
KINDS = {"numbers": NUMBERS, "tickers": TICKERS, "@names": NAMES, "links": LINKS}
MUST_STAY = [*NUMBERS, *TICKERS, *NAMES, *LINKS]


def refused(before, after, entities=()):
    with pytest.raises(NotTranslated) as found:
        carried(Formatted(before, entities), after)
    return str(found.value)


# ── what must stay ──


@pytest.mark.long
@settings(max_examples=100)
@given(st.lists(st.sampled_from([*WORDS, *MUST_STAY]), min_size=1, max_size=12), st.randoms())
def test_words_may_be_others_and_stand_elsewhere(pieces, chance):
    """As they do in another language."""
    other = [latin(each) for each in pieces]
    chance.shuffle(other)

    said = carried(Formatted(" ".join(pieces)), " ".join(other))

    assert said.text == " ".join(other)


@pytest.mark.long
@settings(max_examples=150)
@given(
    st.lists(st.sampled_from([*WORDS, *MUST_STAY]), max_size=8),
    st.sampled_from(MUST_STAY),
    st.sampled_from(MUST_STAY),
    st.sampled_from(["less", "more", "other"]),
    st.randoms(),
)
def test_what_must_stay_and_does_not_is_noticed(pieces, one, another, how, chance):
    """One less, one more, or one in the place of another."""
    before = [*pieces, one]
    after = {"less": pieces, "more": [*before, another], "other": [*pieces, another]}[how]
    after = [latin(each) for each in after]
    chance.shuffle(before)
    chance.shuffle(after)
    if Counter(each for each in before if each in MUST_STAY) == Counter(
        each for each in after if each in MUST_STAY
    ):
        assert carried(Formatted(" ".join(before)), " ".join(after))
        return
    # Known by its capitals alone: that there is one where there was none, nobody can tell.
    if how == "more" and another == "#FF" and "#FF" not in before:
        return
    kinds = [kind for kind, each in KINDS.items() if {one, another} & {*each}]
    why = refused(" ".join(before) + " слово", " ".join([*after, "slovo"]))
    assert any(kind in why for kind in kinds)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("стоп 64000", "stop 64 000", "numbers"),
        ("стоп 64000", "stop 6400", "numbers"),
        ("стоп 64.5", "stop 64,5", "numbers"),
        ("минус -5%", "minus 5%", "numbers"),
        ("риск 1%", "risk one percent", "numbers"),
        ("стоп 5", "stop ٥", "numbers"),
        ("берём BTC", "we take VTS", "tickers"),
        ("берём btc/usdt", "we take eth/usdt", "tickers"),
        ("берём ЭФИР", "we take ETH", "tickers"),
        ("берём $pepe", "we take $bonk", "tickers"),
        ("берём PEPE", "we take frog", "tickers"),
        ("берём FF", "we take friends", "tickers"),
        ("берём #ZZT", "we take zits", "tickers"),
        ("берём KAS и KAS", "we take KAS", "tickers"),
        ("пишите @alice", "write to @alisa", "@names"),
        ("пишите", "write to @alice", "@names"),
        ("тут https://a.org/x", "here https://a.org/y", "links"),
        ("тут https://a.org/x", "here", "links"),
        ("тут", "here evil.example.com", "links"),
        ("тут", "here tg://resolve?domain=x", "links"),
        ("тут", "", "is empty"),
        ("тут", " \n ", "is empty"),
        ("тут", "blah " * 200, "much longer"),
    ],
)
def test_a_change_that_costs_money_is_noticed(before, after, what):
    assert what in refused(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#идея BTC/USDT ЛОНГ, стоп 62000.", "#idea BTC/USDT LONG, stop 62000."),
        ("СТОП В БЕЗУБЫТОК, TP1 взят", "STOP TO BREAKEVEN, TP1 taken"),
        ("ВНИМАНИЕ, ждём", "WARNING, we wait"),
        ("Диапазон 64000-65000", "Range 64000–65000"),
        ("минус \u22125%", "minus -5%"),
        ("CLOSE ALL LONGS NOW BTC", "ЗАКРЫТЬ ВСЕ ЛОНГИ BTC"),
        ("Смотрите https://a.org/x.", "Look: https://a.org/x, please"),
        ("Выход. Всё", "Exit. All"),
        ("BTC / USDT вход", "BTC/USDT entry"),
    ],
)
def test_what_a_translation_may_do_it_may(before, after):
    assert carried(Formatted(before), after).text == after


def test_what_turns_the_direction_of_a_text_is_taken_out_before_it_is_looked_at():
    assert carried(Formatted("стоп 50"), "stop \u202e50\u202c").text == "stop 50"


# ── formatting ──


def bold(text, words, kind="bold", **more):
    start = text.index(words)
    at = starts(text)
    return Entity(kind, at[start], at[start + len(words)] - at[start], **more)


def formatted_as(said):
    raw = said.text.encode("utf-16-le")
    return [
        (e.type, raw[2 * e.offset : 2 * (e.offset + e.length)].decode("utf-16-le"))
        for e in said.entities
    ]


def test_formatting_stays_on_what_stands_there_as_before_and_on_whole_lines():
    """And is dropped elsewhere."""
    text = "🚀 Внимание\nвход BTC/USDT тут\nстоп 62000"
    entities = [
        bold(text, "🚀 Внимание"),
        bold(text, "BTC/USDT", "code"),
        bold(text, "тут", "italic"),
        bold(text, "62000", "underline"),
        bold(text, text, "blockquote"),
    ]

    said = carried(
        Formatted(text, tuple(entities)), "🚀 Attention\nhere BTC/USDT entry\nstop 62000"
    )

    assert formatted_as(said) == [
        ("bold", "🚀 Attention"),
        ("code", "BTC/USDT"),
        ("underline", "62000"),
        ("blockquote", said.text),
    ]


def test_a_link_behind_words_stays_on_them_or_is_put_below():
    text = "график BTC тут"
    url = "https://example.org/chart"
    on_words = (bold(text, "тут", "text_link", url=url),)
    on_ticker = (bold(text, "BTC", "text_link", url=url),)

    assert carried(Formatted(text, on_words), "BTC chart here").text == f"BTC chart here\n{url}"
    kept = carried(Formatted(text, on_ticker), "BTC chart here")
    assert kept == Formatted("BTC chart here", (Entity("text_link", 0, 3, url=url),))


def test_somebody_who_is_mentioned_by_name_is_mentioned_or_it_is_not_posted():
    text = "спасибо, Оля"
    entities = (bold(text, "Оля", "text_mention", user_id=7),)
    assert "@names" in refused(text, "thanks, Olya", entities)
    assert formatted_as(carried(Formatted(text, entities), "thanks, Оля"))[0][1] == "Оля"


def test_a_link_that_telegram_saw_and_nobody_else_is_still_there():
    text = "сайт пример.рф"
    entities = (bold(text, "пример.рф", "url"),)
    assert "links" in refused(text, "site example.rf", entities)


@pytest.mark.long
@settings(max_examples=100)
@given(formatted(), st.text("ab \n🚀ё@", max_size=14))
def test_whatever_is_answered_every_entity_lies_on_characters_and_no_link_is_lost(said, answer):
    try:
        found = carried(said, answer)
    except NotTranslated:
        return
    raw = found.text.encode("utf-16-le")
    for each in found.entities:
        piece = raw[2 * each.offset : 2 * (each.offset + each.length)]
        assert len(piece) == 2 * each.length > 0
        assert piece.decode("utf-16-le").strip()
    at = starts(said.text)
    there = [e.url for e in found.entities] + found.text.split("\n")
    for each in said.entities:
        if each.type == "text_link" and each.offset in at:
            assert each.url in there


# ── what is to be translated ──


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("вход", True),
        ("TP1 hit", True),
        ("BTC/USDT LONG 64000", False),
        ("🚀🚀 +5%", False),
        ("https://example.org/вход @alice $btc", False),
        ("", False),
    ],
)
def test_where_there_are_no_words_nothing_is_to_be_translated(text, words):
    assert has_words(text) is words


def marks(text, *, about=SIGNAL, entities=(), **keys):
    how = presentation_from({"translate": SERVICE, **keys})
    said = present(Content(text, tuple(entities)), how, about)
    return untranslated(Formatted(said.text, said.entities))


def test_the_words_of_the_author_are_translated_and_not_those_of_the_operator():
    found = marks("#idea вход", header="Сигнал {pair}", footer="от {author}")

    assert found.body.text == "#idea вход"
    assert found.filled(Formatted("#idea entry")).text == "Сигнал BTC/USDT\n#idea entry\nот Alice"
    assert from_json(found.as_json()) == found


def test_of_a_template_only_the_text_is_and_as_often_as_it_is_named():
    assert marks("вход", template="{pair} {stop}") is None
    found = marks("вход", template="{text}\n{pair}\n{text}")
    assert found.filled(Formatted("entry")).text == "entry\nBTC/USDT\nentry"


@pytest.mark.long
@given(formatted())
def test_what_is_to_be_translated_is_no_formatting_of_a_post(said):
    """And what is put together again is what was taken apart."""
    place = Place(TARGET, presentation=presentation_from({"translate": SERVICE, "footer": "x"}))
    shown = render(Content(*said), place, About())
    plain = render(Content(*said), Place(TARGET, presentation=presentation_from({"footer": "x"})))

    assert shown == plain
    how = presentation_from({"translate": SERVICE})
    found = present(Content(*said), how, About())
    if isinstance(found, Content) and "untranslated" in {e.type for e in found.entities}:
        whole = untranslated(Formatted(found.text, found.entities), mentions=True)
        assert whole.filled(whole.body).text == found.text


def test_the_original_stands_below_a_line_that_says_so():
    said = Formatted("🚀 вход", (Entity("bold", 3, 4),))
    assert in_the_original(said, "(нет)") == Formatted("(нет)\n🚀 вход", (Entity("bold", 9, 4),))


# ── keys ──


def test_a_place_says_into_which_language_and_whom_to_ask():
    keys = {**SERVICE, "wait": "2.5s", "mark": "⚠️ original", "allow_private": True}
    how = presentation_from({"translate": keys}).translate
    assert how == Translation(
        "en", "https://translate.example.org", wait=how.wait, mark="⚠️ original", allow_private=True
    )
    assert how.wait.total_seconds() == 2.5
    assert "example" not in repr(how)
    usual = presentation_from({"translate": SERVICE}).translate
    assert (usual.wait.total_seconds(), usual.mark) == (10, "(original, not translated)")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("en", "translate: write a table, as in translate = {"),
        ({"to": "en"}, "translate: url is missing, as in translate = {"),
        ({"url": SERVICE["url"]}, "translate: to is missing, as in"),
        ({**SERVICE, "key": "x"}, "translate: the key of the service is TRANSLATE_API_KEY in .env"),
        ({**SERVICE, "api_key": "x"}, "translate: the key of the service is TRANSLATE_API_KEY"),
        ({**SERVICE, "form": "x"}, "translate.form: there is no such key"),
        ({**SERVICE, "to": "English"}, "translate.to: give the code of a language"),
        ({**SERVICE, "to": 7}, "translate.to: write a text in quotes"),
        ({**SERVICE, "wait": 0}, "translate.wait: give 1 to 60 seconds"),
        ({**SERVICE, "wait": "10m"}, "translate.wait: give 1 to 60 seconds"),
        ({**SERVICE, "wait": True}, "translate.wait: give 1 to 60 seconds"),
        ({**SERVICE, "mark": ""}, "translate.mark: give one line of up to 100"),
        ({**SERVICE, "mark": "a\nb"}, "translate.mark: give one line"),
        ({**SERVICE, "allow_private": "yes"}, "translate.allow_private: write true or false"),
        ({**SERVICE, "url": "ftp://x"}, "translate.url: this is no URL"),
        ({**SERVICE, "url": "http://example.org"}, "translate.url: what is not on this machine"),
        ({**SERVICE, "url": "https://10.0.0.8"}, "translate.url: this is a private address"),
        ({**SERVICE, "url": "https://x.org/translate/"}, "translate.url: leave /translate out"),
        (
            {**SERVICE, "url": "https://x.org?api_key=s3cr3t"},
            "translate.url: nothing stands behind",
        ),
        ({**SERVICE, "url": "https://s3cr3t@x.org"}, "translate.url: leave the password out"),
        (
            {**SERVICE, "url": "http://8.8.8.8:5000", "allow_private": True},
            "translate.url: what is not on this machine",
        ),
    ],
)
def test_what_is_wrong_is_one_line_that_names_it_and_shows_no_secret(keys, said):
    with pytest.raises(SettingsError) as found:
        presentation_from({"translate": keys})
    assert str(found.value).startswith(said)
    assert "\n" not in str(found.value)
    assert "s3cr3t" not in str(found.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:5000", "http://libretranslate:5000/", "https://192.168.0.7/lt"]
)
def test_a_service_that_is_near_may_be_named_where_that_is_allowed(url):
    keys = {**SERVICE, "url": url, "allow_private": True}
    assert re.match(r"https?://[\w.:]+", presentation_from({"translate": keys}).translate.service)
