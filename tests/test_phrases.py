"""What people read in their language: all of it is translated, and nothing that they wrote themselves."""

from __future__ import annotations

import json
import string

import pytest

from bot.config import Settings
from bot.errors import RetryLater, SettingsError, UsageError, words_of
from bot.phrases import by_locale, joined, phrase, plural, translator


@pytest.fixture
def ru():
    return translator("ru")


# ── the catalogues ────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def catalogue():
    pytest.importorskip("babel", reason="without babel the catalogues cannot be compared")
    from tests import catalogue  # noqa: PLC0415  # it needs babel

    return catalogue


def russian(catalogue):
    [path] = [each for each in catalogue.files() if "ru" in each.parts]
    return path


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.long
def test_every_text_of_the_code_is_translated_and_no_other(catalogue):
    said = {message.id for message in catalogue.of_the_code() if message.id}
    has = {message.id: message for message in catalogue.of_file(russian(catalogue)) if message.id}

    assert said - set(has) == set()
    assert set(has) - said == set()
    assert [each for each, message in has.items() if not all(catalogue.strings(message))] == []
    assert len(said) > 100


def test_a_translation_has_the_fields_of_the_text(catalogue):
    """Of a plural each form has them, so that no number is left out."""
    for message in catalogue.of_file(russian(catalogue)):
        if not message.id:
            continue
        one = message.id[0] if message.pluralizable else message.id
        for text in catalogue.strings(message):
            assert fields(text) == fields(one), text
        assert len(catalogue.strings(message)) == (3 if message.pluralizable else 1), message.id


def test_what_the_program_reads_is_made_of_what_people_write(catalogue):
    """After a change of a text: `python -m tests.catalogue`."""
    path = russian(catalogue)

    made = catalogue.compiled(catalogue.of_file(path))
    assert catalogue.entries(path.with_suffix(".mo").read_bytes()) == catalogue.entries(made)


# ── how a text is said ────────────────────────────────────────────────────────


def test_russian_counts_in_three_ways(ru):
    def said(n):
        return ru(plural("{n} may post signals and updates", "{n} may post signals and updates", n))

    assert said(1) == "сигналы и продолжения может публиковать 1 автор"
    assert said(21) == "сигналы и продолжения может публиковать 21 автор"
    assert said(3) == "сигналы и продолжения могут публиковать 3 автора"
    assert said(11) == "сигналы и продолжения могут публиковать 11 авторов"


@pytest.mark.parametrize(
    ("text", "more", "told"),
    [
        (
            "its author is one of the {n} in {allowed}",
            {"allowed": "SOURCE_ALLOWED_USERS"},
            "его автор — среди названных в SOURCE_ALLOWED_USERS ({})",
        ),
        (
            "{marks} or matches one of {n} patterns",
            {"marks": "#idea"},
            "#idea или совпадение с одним из шаблонов ({})",
        ),
        (
            "signals carry one of {markers}, or match one of {n} patterns",
            {"markers": "#idea"},
            "сигналы отмечены одной из меток #idea или подходят под один из шаблонов ({})",
        ),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 5, 21])
def test_russian_for_one_is_not_wrong_for_twenty_one(ru, text, more, told, count):
    """Both are said in one form: "the one that is named" would be a claim about all 21."""
    assert ru(plural(text, text, count, **more)) == told.format(count)


def test_a_size_is_said_in_russian_whatever_its_number(ru):
    assert ru(phrase("{number} bytes", number=22)) == "22 Б"


def test_english_counts_in_two(ru):
    assert plural("{n} post", "{n} posts", 1) == "1 post"
    assert plural("{n} post", "{n} posts", 0) == "0 posts"


def test_a_text_within_a_text_is_translated_and_what_people_wrote_is_not(ru):
    """A title may be a text of ours by chance, and may have braces in it."""
    chat = phrase("the {kind} {title} ({id})", kind=phrase("channel"), title="channel {id}", id=-5)
    text = phrase("posts to {chat}", chat=chat)

    assert text == "posts to the channel channel {id} (-5)"
    assert ru(text) == "пишет в чат: канал channel {id} (-5)"
    assert ru("channel") == "channel"


def test_parts_beside_each_other_are_translated_one_by_one(ru):
    text = joined(": ", ["channel", phrase("channel"), "{x}"])

    assert (text, ru(text)) == ("channel: channel: {x}", "channel: канал: {x}")
    assert joined(", ", []) == ""


def test_an_error_keeps_its_words(ru):
    """However it is caught and told on; for the log it is English."""
    error = RetryLater(phrase("not connected"))

    assert (str(error), ru(words_of(error))) == ("not connected", "нет соединения")
    assert words_of(UsageError("plain")) == "plain"
    assert words_of(OSError(2, "No such file")) == "[Errno 2] No such file"


def test_for_logs_and_scripts_it_is_the_english_text():
    text = phrase("posts to {chat}", chat="x")

    assert json.dumps({"text": text}) == '{"text": "posts to x"}'
    assert (text == "posts to x", hash(text) == hash("posts to x")) == (True, True)


# ── which language ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ru_RU.UTF-8"}, "ru"),
        ({"LANG": "ru_RU.UTF-8", "LANGUAGE": "ru:en"}, "ru"),
        ({"LANG": "ru_RU.UTF-8", "LANGUAGE": "en_US"}, "en"),
        ({"LANG": "ru_RU.UTF-8", "LANGUAGE": "en_US:en"}, "en"),
        ({"LANG": "ru_RU.UTF-8", "LANGUAGE": "de:fr"}, "en"),
        ({"LANG": "ru_RU.UTF-8", "LANGUAGE": ""}, "ru"),
        ({"LANG": "C.UTF-8", "LANGUAGE": "ru"}, "ru"),  # a service, told by its environment
        ({"LANGUAGE": "uk:ru:en"}, "ru"),
        ({"LANG": "ru-RU"}, "ru"),
        ({"LANG": "rus"}, "en"),
        ({"LANG": "ru@latin"}, "ru"),
    ],
)
def test_it_is_that_of_the_locale(environ, language):
    assert by_locale(environ) == language


@pytest.mark.parametrize(
    ("written", "language"),
    [
        ("LANGUAGE=ru", "ru"),
        ("language=RU", "ru"),
        ("LANGUAGE=en", "en"),
        ("LANGUAGE=ru_RU:en", "ru"),
    ],
)
def test_what_the_file_says_goes_before_the_locale(tmp_path, written, language):
    """Of this one setting: desktops set LANGUAGE for whoever is logged in."""
    env = tmp_path / ".env"
    env.write_text(f"{written}\n")
    env.chmod(0o600)

    assert Settings.load({}, env_file=env).language == language


def test_a_language_that_it_does_not_speak_is_a_wrong_setting(tmp_path):
    env = tmp_path / ".env"
    env.write_text("LANGUAGE=de\n")
    env.chmod(0o600)

    with pytest.raises(SettingsError) as found:
        Settings.load({}, env_file=env)
    assert str(found.value) == "LANGUAGE: 'de' is none that the bot speaks: write en or ru"
