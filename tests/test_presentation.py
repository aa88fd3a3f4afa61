"""What a place shows of a message, by its own rules; and nothing else is changed by them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.errors import SettingsError
from bot.extras import Extras, LinkButton, Preview, Quote
from bot.models import Content, Entity, Media
from bot.routes import Place
from bot.rules.cleaning import Replacement
from bot.rules.presentation import About, Medium, Missing, NotShown, Only, Presentation, present
from bot.rules.presentation_keys import KEYS, presentation_from
from bot.rules.render import cut, render
from tests.about import FIELDS, SIGNAL, UPDATE
from tests.formatted import ANY_EXTRAS, formatted
from tests.people import TARGET
from tests.posts import PHOTO

POLL = Media("poll", 'poll:{"question": {"text": "Up?"}, "answers": [{"text": "да"}]}')
STICKER = Media("sticker", "sticker:1:2:00")


def shown(text, *, about=SIGNAL, entities=(), media=None, extras=None, source="", **keys):
    """What is posted there, by the keys of the file; None: nothing."""
    how = presentation_from(keys)
    found = present(Content(text, tuple(entities), media, extras), how, about, source=source)
    return None if isinstance(found, NotShown) else found


def words(text, **more):
    found = shown(text, **more)
    return None if found is None else found.text


def why_not(text, *, about=SIGNAL, media=None, **keys):
    found = present(Content(text, (), media), presentation_from(keys), about)
    return found.reason if isinstance(found, NotShown) else None


# ── what holds for all ────────────────────────────────────────────────────────

MEDIA = st.none() | st.sampled_from([PHOTO, POLL, STICKER])
MESSAGES = st.builds(
    lambda said, media, extras: Content(*said, media, extras),
    formatted(),
    MEDIA,
    st.none() | ANY_EXTRAS,
)
ABOUTS = st.sampled_from([SIGNAL, UPDATE, About(), SIGNAL._replace(in_album=True, author=None)])


@pytest.mark.long
@given(MESSAGES, ABOUTS, st.booleans())
def test_a_place_without_rules_posts_what_it_always_posted(said, about, mentions):
    place = Place(TARGET, mentions=mentions)

    assert place == Place(TARGET, mentions=mentions, presentation=Presentation(), source="")
    assert present(said, Presentation(), about) is said
    assert render(said, place, about) == cut(said, place)


SOME = st.fixed_dictionaries(
    {},
    optional={
        "replace": st.just([{"pattern": "a+", "by": r"<\0>"}, {"pattern": " ", "by": ""}]),
        "remove_links": st.booleans(),
        "remove_mentions": st.booleans(),
        "strip_lines": st.just(["b$"]),
        "header": st.sampled_from(["{pair} {direction}", "{author}: {link}"]),
        "footer": st.just("— {source}"),
        "skip": st.just(["aab"]),
        "only": st.just({"pairs": ["BTC"]}),
        "media": st.sampled_from(["keep", "drop", "text only"]),
        "silent": st.booleans(),
        "previews": st.booleans(),
        "template": st.sampled_from(["{pair} {entry}", "{text}\n{stop}"]),
        "translate": st.just({"to": "en", "url": "https://translate.example.org"}),
    },
)


@pytest.mark.long
@settings(max_examples=300)
@given(MESSAGES, ABOUTS, SOME)
@example(Content("", ()), SIGNAL, {"previews": True})
def test_the_same_message_looks_the_same_in_the_same_place(said, about, keys):
    """And every entity lies within its text, on the bounds of characters."""
    places = [Place(TARGET, presentation=presentation_from(keys), source="majors") for _ in "ab"]
    one, other = (render(said, place, about) for place in places)

    assert one == other
    assert places[0] == places[1]
    as_it_was = places[0].presentation == Presentation()
    for post in one:
        assert post.text.strip() or post.media is not None or as_it_was
        raw = post.text.encode("utf-16-le")
        for entity in post.entities:
            cut_out = raw[2 * entity.offset : 2 * (entity.offset + entity.length)]
            assert len(cut_out) == 2 * entity.length > 0
            cut_out.decode("utf-16-le")


def test_a_start_without_patterns_loads_no_engine_for_them():
    program = (
        "import sys; from bot.rules.presentation_keys import presentation_from as p; "
        "p({'header': '{author}', 'remove_links': True}); print('re2' in sys.modules); "
        "p({'skip': ['a']}); print('re2' in sys.modules)"
    )
    run = [sys.executable, "-c", program]

    assert subprocess.check_output(run, text=True).split() == ["False", "True"]


# ── what is taken out ─────────────────────────────────────────────────────────


def test_a_line_that_matches_goes_whole():
    promo = "🚀 BTC\nВступай: t.me/promo\nTP 70k\nJoin the VIP"

    assert words(promo, strip_lines=["(?i)t[.]me/", "VIP"]) == "🚀 BTC\nTP 70k"


def test_what_is_bold_stays_so_where_the_lines_above_it_are_gone():
    said = shown("🚀🚀 promo\nTP 70k", entities=[Entity("bold", 11, 6)], strip_lines=["promo"])

    assert (said.text, said.entities) == ("TP 70k", (Entity("bold", 0, 6),))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("TP1 https://x.example/ref?a=1 done", "TP1 done"),
        ("t.me/promo\nTP1", "TP1"),
        ("ask promo.t.me/5, then TP1", "ask, then TP1"),
        ("(see www.example.org/a).", "(see)."),
        ("entry 1.25, stop 1.2", "entry 1.25, stop 1.2"),
        ("BTC/USDT LONG", "BTC/USDT LONG"),
    ],
)
def test_links_go_without_a_gap(text, left):
    """As Telegram finds them by itself; prices are none."""
    assert words(text, remove_links=True) == left


def test_a_link_that_telegram_found_goes_whatever_it_looks_like():
    entities = [Entity("url", 4, 11), Entity("bold", 0, 20)]
    said = shown("TP1 example.org done", entities=entities, remove_links=True)

    assert (said.text, said.entities) == ("TP1 done", (Entity("bold", 0, 8),))


def test_words_that_lead_to_a_page_stay_and_lead_nowhere():
    """But for an address among them: Telegram would make a link of it again."""
    there = {"url": "https://example.org"}
    entities = [Entity("text_link", 0, 9, **there), Entity("text_link", 10, 11, **there)]
    said = shown("our chart example.com TP1", entities=entities, remove_links=True)

    assert (said.text, said.entities) == ("our chart TP1", ())


def test_with_the_links_go_the_buttons_and_the_chosen_preview():
    extras = Extras(
        buttons=((LinkButton("Join", "https://x.y"),),), preview=Preview("https://x.y", "")
    )

    assert shown("TP1", extras=extras, remove_links=True).extras == Extras()
    assert shown("TP1", extras=extras, header="x").extras == extras


def test_code_is_left_as_it_is():
    entities = [Entity("code", 0, 18)]

    said = shown("https://x.example/ @bob", entities=entities, remove_links=True)
    assert said.text == "https://x.example/ @bob"


def test_mentions_go_and_names_lead_to_nobody():
    entities = [
        Entity("mention", 0, 4),
        Entity("text_mention", 9, 3, user_id=5),
        Entity("text_link", 13, 3, url="tg://user?id=5"),
        Entity("email", 17, 11),
    ]
    said = shown("@bob TP1 Ann Bob me@mail.org", entities=entities, remove_mentions=True)

    assert (said.text, said.entities) == ("TP1 Ann Bob me@mail.org", (Entity("email", 12, 11),))


def test_links_are_no_mentions_and_the_other_way_round():
    entities = [Entity("text_link", 0, 3, url="tg://user?id=5"), Entity("mention", 4, 4)]

    assert shown("Ann @bob", entities=entities, remove_links=True).entities == tuple(entities)


def test_what_turns_the_direction_of_a_text_hides_nothing_from_a_pattern():
    assert words("join t.\u200eme/x\nTP1", strip_lines=["t[.]me"]) == "TP1"


@pytest.mark.parametrize(
    ("pattern", "by", "text"),
    [
        ("our (exchange|биржа)", "🏦", "buy on 🏦 now"),
        ("our (exchange|биржа)", r"the \1", "buy on the биржа now"),
        ("our (exchange|биржа)", r"\\\0", r"buy on \our биржа now"),
        ("(?:our |x)(y)?биржа", r"[\1]", "buy on [] now"),
        ("our биржа", "{author} @ann", "buy on {author} @ann now"),
        ("(?i)(?m) биржа.*$", "", "buy on our"),
    ],
)
def test_what_is_found_is_replaced(pattern, by, text):
    assert words("buy on our биржа now", replace=[{"pattern": pattern, "by": by}]) == text


def test_replacements_are_made_one_after_the_other_and_their_own_links_stay():
    each = [{"pattern": "a", "by": "b"}, {"pattern": "b+", "by": "https://t.me/ours"}]

    assert words("ab https://t.me/theirs", replace=each, remove_links=True) == "https://t.me/ours"


# ── what stands around it ─────────────────────────────────────────────────────


def test_header_and_footer_say_what_is_known():
    framed = words(
        "TP1",
        source="majors",
        header="{pair} {direction} {{x}}",
        footer="{source}, by {author}\n{link}",
    )

    assert framed == ("BTC/USDT LONG {x}\nTP1\nmajors, by Alice\nhttps://t.me/c/1234567890/5")


def test_a_line_of_which_nothing_is_known_is_left_out():
    about = About(fields={"pair": "BTC"})

    assert words("TP1", about=about, header="{author}\n{pair} {direction}") == "BTC \nTP1"
    assert (
        words("TP1", about=About(), header="by {author}", footer="{link}\nmajors") == "TP1\nmajors"
    )


def test_what_a_field_holds_is_never_read():
    """Neither as another field, nor as something that people could tap."""
    about = SIGNAL._replace(author="{link} @bob\n t.me/x #tag $BTC /go https://e.org \u202e.")

    found = words("TP1", about=about, footer="by {author}")

    assert found == (
        "TP1\nby {link} @\u2060bob t.\u2060me/\u2060x #\u2060tag $\u2060BTC /\u2060go "
        "https:\u2060/\u2060/\u2060e.\u2060org ."
    )


def test_entities_keep_their_words_below_a_header():
    said = shown("🚀 TP1", entities=[Entity("bold", 3, 3)], header="🚀🚀")

    assert (said.text, said.entities) == ("🚀🚀\n🚀 TP1", (Entity("bold", 8, 3),))


@pytest.mark.parametrize(
    ("text", "media", "album", "posted"),
    [
        ("", PHOTO, False, "by Alice"),
        ("", PHOTO, True, ""),
        ("TP1", PHOTO, True, "TP1\nby Alice"),
        ("", POLL, False, ""),
        ("", STICKER, False, ""),
    ],
)
def test_words_are_put_below_a_medium_that_takes_them(text, media, album, posted):
    """An album has one caption: its other parts get none."""
    about = SIGNAL._replace(in_album=album)

    said = shown(text, about=about, media=media, footer="by {author}")

    assert (said.text, said.media) == (posted, media)


# ── which messages ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("only", "is_shown"),
    [
        ({"pairs": ["BTC/USDT"]}, True),
        ({"pairs": ["btc"]}, True),
        ({"pairs": ["BTCUSDT", "ETH"]}, True),
        ({"pairs": ["BTC/USD"]}, False),
        ({"directions": ["LONG"]}, True),
        ({"directions": ["short"]}, False),
        ({"pairs": ["BTC"], "directions": ["SHORT"]}, False),
        ({"markers": ["#Scalp"]}, True),
        ({"markers": ["#idea"]}, True),
        ({"markers": ["#swing"]}, False),
    ],
)
@pytest.mark.parametrize("about", [SIGNAL, UPDATE])
def test_only_some_signals_are_shown_and_their_updates_follow_them(about, only, is_shown):
    assert (words("TP1", about=about, only=only) == "TP1") == is_shown


def test_a_signal_that_does_not_say_its_pair_is_not_one_of_some_pairs():
    assert why_not("#idea", about=About(is_signal=True), only={"pairs": ["BTC"]}) == (
        "only some pairs are shown there, and none is not one of them"
    )


def test_a_message_that_matches_is_skipped():
    assert why_not("join our VIP", skip=["(?i)vip"]) == "it matches a pattern of `skip` there"
    assert why_not("TP1", skip=["(?i)vip"]) is None


def test_where_nothing_is_left_of_a_message_it_is_not_shown():
    gone = {"strip_lines": ["t[.]me"], "footer": "by {author}"}

    assert why_not("t.me/promo", **gone) == "nothing is left of it there"
    assert why_not("t.me/promo", media=PHOTO, **gone) is None


@pytest.mark.parametrize(
    ("media", "text", "medium", "posted"),
    [
        ("keep", "TP1", PHOTO, ("TP1", PHOTO)),
        ("drop", "TP1", PHOTO, ("TP1", None)),
        ("text only", "TP1", PHOTO, ("TP1", None)),
        ("drop", "", PHOTO, None),
        ("drop", "", POLL, None),
        ("text only", "", POLL, ("Up?\n• да", None)),
        ("text-only", "", POLL, ("Up?\n• да", None)),
    ],
)
def test_media_are_kept_or_not(media, text, medium, posted):
    [*posts] = render(
        Content(text, (), medium), Place(TARGET, presentation=presentation_from({"media": media}))
    )

    assert [(post.text, post.media) for post in posts] == ([] if posted is None else [posted])


def test_a_place_may_be_silent_and_without_previews():
    extras = Extras(preview=Preview("https://x.y", "large"), silent=False)

    assert shown("TP1", silent=True).extras == Extras(silent=True)
    assert shown("TP1", previews=False).extras == Extras(no_preview=True)
    assert shown("TP1", extras=extras, previews=False, silent=True).extras == Extras(
        silent=True, no_preview=True
    )
    assert shown("TP1", extras=Extras(silent=True), silent=False, header="x").extras.silent


def test_a_quote_says_what_stands_there():
    extras = Extras(quote=Quote("see t.me/x now", (), 3))

    said = shown("TP1", about=UPDATE, extras=extras, remove_links=True)

    assert said.extras.quote == Quote("see now", (), 3)
    assert shown("TP1", extras=extras, strip_lines=["t[.]me"]).extras.quote is None


# ── templates ─────────────────────────────────────────────────────────────────

CORNIX = """{pair} {direction}
Entry zone: {entry}
Take profit: {take_profits}
Stop: {stop}"""


def test_a_signal_in_the_form_of_a_template():
    assert words("whatever", template=CORNIX) == (
        "BTC/USDT LONG\nEntry zone: 64000-65000\nTake profit: 66000, 68000.5\nStop: 63000"
    )


def test_one_price_is_no_zone():
    about = SIGNAL._replace(fields={**FIELDS, "entry": ["64000", "64000"]})

    assert words("x", about=about, template="{entry} x{leverage}") == "64000 x10"


def test_the_words_of_a_signal_keep_their_formatting_within_a_template():
    said = shown("🚀 up", entities=[Entity("bold", 3, 2)], template="{pair}\n{text}\n{stop}")

    assert said.text == "BTC/USDT\n🚀 up\n63000"
    assert said.entities == (Entity("bold", 12, 2),)


@pytest.mark.parametrize("field", ["stop", "entry", "take_profits", "direction", "pair"])
def test_a_signal_that_does_not_say_all_is_posted_as_it_is_or_not_at_all(field):
    about = SIGNAL._replace(fields={name: FIELDS[name] for name in FIELDS if name != field})

    assert words("#idea BTC", about=about, template=CORNIX) == "#idea BTC"
    assert (
        words("#idea BTC", about=about, template=CORNIX, template_missing="original") == "#idea BTC"
    )
    assert why_not("#idea BTC", about=about, template=CORNIX, template_missing="skip") == (
        f"its template names {{{field}}}, which it does not say"
    )


@pytest.mark.parametrize(("pair", "is_said"), [("BTC", False), ("US30", True), ("EUR/USD", True)])
def test_a_bare_ticker_is_no_pair_for_a_program(pair, is_said):
    about = SIGNAL._replace(fields={**FIELDS, "pair": pair})

    found = words("#idea", about=about, template="{pair}", template_missing="skip")

    assert found == (pair if is_said else None)


def test_updates_are_in_no_template():
    assert words("TP1", about=UPDATE, template=CORNIX, template_missing="skip") == "TP1"


# ── what cannot be ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"footr": "x"}, "footr: there is no such key; did you mean footer?"),
        ({"nonsense": 1}, "nonsense: there is no such key; there are footer, header, media, only,"),
        ({"header": 5}, 'header: write a text in quotes, as in header = "…"'),
        ({"header": "{autor}"}, "header: there is no autor, only {author}, {source}, {link}"),
        ({"header": "{text}"}, "header: there is no {text}, only"),
        ({"footer": "{author.name}"}, "footer: {author.name} is no name of a field; a brace that"),
        ({"footer": "{author!r}"}, "footer: {author} is no name of a field"),
        ({"footer": "{0}"}, "footer: {0} is no name of a field"),
        ({"footer": "50 {"}, "footer: "),
        ({"template": "{author} {risk}"}, "template: there is no risk, only"),
        ({"silent": "yes"}, "silent: write true or false, without quotes"),
        ({"skip": "vip"}, 'skip: write a list of texts, as in skip = ["…"]'),
        (
            {"skip": ["a(?=b)"]},
            "skip: 'a(?=b)' is refused: invalid perl operator: (?=; RE2 cannot look ahead or behind",
        ),
        ({"skip": [""]}, "skip: '' would match everything"),
        ({"strip_lines": ["x*"]}, "strip_lines: 'x*' would match everything"),
        ({"replace": "a"}, "replace: write a list of tables, as in replace = [{"),
        ({"replace": [{"by": "a"}]}, "replace: a pattern is missing, as in"),
        ({"replace": [{"pattern": "a", "with": "b"}]}, "replace.with: there is no such key;"),
        ({"replace": [{"pattern": "a", "by": 5}]}, "replace.by: write a text"),
        ({"replace": [{"pattern": "(a", "by": ""}]}, "replace: '(a' is refused: missing ): (a"),
        (
            {"replace": [{"pattern": "(a)", "by": r"\2"}]},
            r"replace: '\\2' names group 2, and there",
        ),
        ({"replace": [{"pattern": "a", "by": r"\n"}]}, "replace: in "),
        ({"replace": [{"pattern": "a", "by": "\\"}]}, "replace: in "),
        ({"only": ["BTC"]}, "only: write a table, as in only = {"),
        ({"only": {"pair": ["BTC"]}}, "only.pair: there is no such key; did you mean pairs?"),
        ({"only": {"directions": ["up"]}}, "only: directions: 'UP' is neither"),
        ({"only": {"markers": [" "]}}, "only: pairs and markers: an empty one says nothing"),
        ({"media": "none"}, 'media: \'none\' is none of "keep" or "drop" or "text only"'),
        ({"template_missing": "skip"}, "template_missing: there is no template"),
        ({"template": "{pair}", "template_missing": "x"}, "template_missing: 'x' is none of"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_with_the_mend(keys, said):
    with pytest.raises(SettingsError) as caught:
        presentation_from(keys)

    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_all_keys_together_are_a_value():
    keys = {
        "replace": [{"pattern": "a", "by": "b"}],
        "remove_links": True,
        "remove_mentions": True,
        "strip_lines": ["promo"],
        "header": "{pair}",
        "footer": "{author}",
        "skip": ["vip"],
        "only": {"pairs": ["BTC"], "directions": ["long"], "markers": ["#x"]},
        "media": "text only",
        "silent": True,
        "previews": False,
        "template": "{text}",
        "template_missing": "skip",
    }

    assert presentation_from(keys) == Presentation(
        replace=(Replacement("a", "b"),),
        remove_links=True,
        remove_mentions=True,
        strip_lines=("promo",),
        header="{pair}",
        footer="{author}",
        skip=("vip",),
        only=Only(("BTC",), ("LONG",), ("#x",)),
        media=Medium.TEXT_ONLY,
        silent=True,
        previews=False,
        template="{text}",
        template_missing=Missing.SKIP,
    )
    assert presentation_from({}) == Presentation()


# ── the page about it ─────────────────────────────────────────────────────────

PAGE = (Path(__file__).parents[1] / "docs" / "ROUTES.md").read_text("utf-8")
OWN = PAGE.partition("## What a place shows\n")[2].partition("\n## ")[0]


def test_the_page_names_every_key_and_its_examples_are_right():
    """The one for Cornix has a full pair and its words for entry, targets and stop."""
    rows = re.findall(r"^\| (`.*?) \|", OWN, re.MULTILINE)
    named = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    examples = [tomllib.loads(each) for each in re.findall(r"```toml\n(.*?)```", OWN, re.DOTALL)]

    assert named == KEYS
    first, cornix = map(presentation_from, examples)
    said = Content("#idea BTC\nJoin our VIP\nour exchange https://x.y")
    framed = "BTC/USDT LONG\n#idea BTC\nBinance\nmajors, by Alice"
    assert [post.text for post in render(said, Place(TARGET, presentation=first), SIGNAL)] == [
        framed
    ]
    assert [post.text for post in render(said, Place(TARGET, presentation=cornix), SIGNAL)] == [
        "BTC/USDT LONG\nEntry zone: 64000-65000\nTake profit: 66000, 68000.5\nStop: 63000"
    ]
