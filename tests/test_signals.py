"""What counts as a signal, and what is read from one."""

from __future__ import annotations

import re
import sys
import time
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bot.errors import SettingsError
from bot.rules.markers import Markers, parse
from bot.signal_fields import Direction, Percent, SignalFields, Span
from tests.texts import EMOJI, TWO_WORDS, UNDERSCORE

DEFAULTS = ["#идея", "#idea"]

PATTERNS = [EMOJI, UNDERSCORE, TWO_WORDS]


def prices(*texts):
    return tuple(map(Decimal, texts))


def span(low, high=None):
    return Span(Decimal(low), Decimal(high or low))


# ── what counts as a signal ───────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "marker"),
    [
        pytest.param("#идея BTC/USDT LONG", "#идея", id="first"),
        pytest.param("Всем привет! Новая #ИДЕЯ по эфиру", "#идея", id="anywhere and in any case"),
        pytest.param("BTC #Idea", "#idea", id="last"),
        pytest.param("(#IDEAS)", "#idea", id="inside a word: literals know no words"),
        pytest.param("Есть идея: купить BTC", None, id="no hash"),
        pytest.param("# идея", None, id="a space within"),
        pytest.param("", None, id="no text"),
        pytest.param("🔥" * 2000 + "#idea", "#idea", id="behind a wall of emoji"),
        pytest.param("\ud83d#idea\udfe2", "#idea", id="between broken surrogates"),
    ],
)
def test_a_literal_marker_counts_anywhere_and_in_any_case(text, marker):
    assert Markers(DEFAULTS).find(text) == marker


def test_a_marker_is_reported_as_it_was_configured():
    assert Markers(["#ИдеЯ"]).find("смотри #иДЕя!") == "#ИдеЯ"


@pytest.mark.parametrize("literal", ["#Сделай", "Größe", "ΐ"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("case", [str.upper, str.lower, str.title, str.swapcase])
def test_a_letter_counts_whole_or_in_parts(literal, form, case):
    """Some keyboards send "й" as two code points, and upper case takes some letters apart."""
    assert Markers([literal]).find(unicodedata.normalize(form, case(literal))) == literal


@given(
    before=st.text(),
    literal=st.text("абвгдеёжзийклмнопрстуфхцчшщъыьэюяABCdefXYZ#_0123456789", min_size=1),
    after=st.text(),
    case=st.sampled_from([str.upper, str.lower, str.title, str.swapcase]),
)
def test_finding_a_literal_never_depends_on_case(before, literal, after, case):
    assume(not after or not unicodedata.combining(after[0]))  # it would make another letter
    assert Markers([literal]).find(f"{before}{case(literal)}{after}") == literal


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        pytest.param("FF 🟢LONG", EMOJI, id="one line"),
        pytest.param("FF 🟢\nLONG", EMOJI, id="broken before the word"),
        pytest.param("FF\n🟢LONG", EMOJI, id="broken before the circle"),
        pytest.param("Внимание\nFF 🔴SHORT, плечо 5", EMOJI, id="short, on the second line"),
        pytest.param("ff/usdt 🟢 лонг", EMOJI, id="Russian, lower case, a pair"),
        pytest.param("FF 🔴LONG", None, id="the wrong circle"),
        pytest.param("FF 🟢LONGER", None, id="another word"),
        pytest.param("FF 🟢ЛОНГУЮ", None, id="another Russian word"),
        pytest.param("100 🟢LONG", None, id="an amount"),
        pytest.param("BTC_long", UNDERSCORE, id="underscore"),
        pytest.param(
            "Сигнал\n 1000pepe_SHORT \nвход 1", UNDERSCORE, id="underscore, any ticker and case"
        ),
        pytest.param("мой BTC_long закрыт", None, id="underscore amid a sentence"),
        pytest.param("BTC LONG", TWO_WORDS, id="two words"),
        pytest.param("Сигнал\nBTC лонг\nвход 64200", TWO_WORDS, id="two words, Russian"),
        pytest.param("#ETH/USDT\u00a0ШОРТ", TWO_WORDS, id="two words and a hard space"),
        pytest.param("BTC LONG уже поздно", None, id="two words amid a sentence"),
        pytest.param("BTC\nLONG", None, id="two words on two lines"),
        pytest.param("going long", None, id="chatter"),
        pytest.param("Спасибо!", None, id="thanks"),
        pytest.param("\ud83d\nBTC LONG\n\udfe2", TWO_WORDS, id="between broken surrogates"),
    ],
)
def test_the_documented_patterns_know_the_formats_of_real_groups(text, pattern):
    assert Markers(DEFAULTS, PATTERNS).find(text) == pattern


def test_a_literal_goes_before_a_pattern():
    assert Markers(DEFAULTS, PATTERNS).find("BTC LONG\n#идея") == "#идея"


def test_without_markers_nothing_is_a_signal():
    assert Markers([]).find("#идея BTC LONG") is None


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        pytest.param("(", "'(' is refused: missing )", id="unbalanced"),
        pytest.param("a(?=b)", "'a(?=b)' is refused: invalid perl operator: (?=", id="not RE2"),
        pytest.param("\udcff", r"'\udcff' is refused: ", id="not text"),
        pytest.param("(?P<a\nb", r"'(?P<a\nb' is refused: ", id="of two lines"),
        pytest.param("", "'' would match every message", id="empty"),
        pytest.param("(?:идея)?", "'(?:идея)?' would match every message", id="optional"),
        pytest.param("^$", "'^$' would match every message", id="nothing at all"),
        pytest.param("^", "'^' would match every message", id="start"),
        pytest.param(r"\b", r"'\\b' would match every message", id="word boundary"),
    ],
)
def test_a_useless_pattern_is_refused_with_one_line_that_names_it(pattern, shown, capfd):
    with pytest.raises(SettingsError) as caught:
        Markers(DEFAULTS, ["BTC", pattern])

    assert str(caught.value).startswith(f"SIGNAL_PATTERNS: {shown}")
    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr().err == ""  # re2 would write there by itself


@pytest.mark.parametrize("literal", ["", " ", "\n"])
def test_an_empty_literal_is_refused(literal):
    with pytest.raises(SettingsError, match="SIGNAL_MARKERS"):
        Markers(["#идея", literal])


# ── whole signals ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param(
            "#Идея BTC/USDT LONG\nТФ: 15М\nВход: 64200-64500\nTP1: 65000\nTP2: 66000\nSL: 63000\nРиск: 2%",
            SignalFields(
                "BTC/USDT",
                Direction.LONG,
                "15M",
                span(64200, 64500),
                prices(65000, 66000),
                Decimal(63000),
                Decimal(2),
            ),
            id="labelled",
        ),
        pytest.param(
            "FF 🟢\nLONG\n\nТаймфрейм - 4ч\nТочка входа: 0,3105 – 0,3150\n\nТейки: 1) 0,3300 2) 0,3500\n"
            "Стоп-лосс: 0,2980\nРиск в сделке 1%",
            SignalFields(
                "FF",
                Direction.LONG,
                "4H",
                span("0.3105", "0.3150"),
                prices("0.3300", "0.3500"),
                Decimal("0.2980"),
                Decimal(1),
            ),
            id="a circle, commas and a numbered list",
        ),
        pytest.param(
            "BTC_short\n1D\nEntry zone: $64,200.50 - $64,500.00\nTargets:\n"
            "1️⃣ 63 000 (+1.9%)\n2️⃣ 62 000$ (+3.5%)\n\n12.05 18:30\nStop loss 65 100\nRisk: 0.5%",
            SignalFields(
                "BTC",
                Direction.SHORT,
                "1D",
                span("64200.50", 64500),
                prices(63000, 62000),
                Decimal(65100),
                Decimal("0.5"),
            ),
            id="English, with a list of lines",
        ),
        pytest.param(
            "#idea ethusdt шорт вход по рынку, цели: 3000, 2900,5, 2800 стоп в безубыток после TP1",
            SignalFields("ETH/USDT", Direction.SHORT, take_profits=prices(3000, "2900.5", 2800)),
            id="one line",
        ),
        pytest.param(
            "Спасибо, отличная сделка! +24% за 2 дня, 24/7 на связи", SignalFields(), id="no signal"
        ),
        pytest.param("", SignalFields(), id="no text"),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_signal_is_read_whole(text, fields, form):
    """However its letters are composed: "й" may come as two code points."""
    assert parse(unicodedata.normalize(form, text)) == fields


# ── field by field ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("BTC/USDT", "BTC/USDT"),
        ("btc/usdt", "BTC/USDT"),
        ("#BTC/USDT лонг", "BTC/USDT"),
        ("$BTCUSDT", "BTC/USDT"),
        ("BTCUSDT.P", "BTC/USDT"),
        ("BTC-USDT", "BTC/USDT"),
        ("BTC / USDT", "BTC/USDT"),
        ("BTCUSDT_long", "BTC/USDT"),
        ("1000PEPE/USDT", "1000PEPE/USDT"),
        ("1000PEPEUSDC", "1000PEPE/USDC"),
        ("btcbusd", "BTC/BUSD"),
        ("XAUUSD", "XAU/USD"),
        ("ETH/BTC", "ETH/BTC"),
        ("BTC LONG, хедж к ETH/USDT", "ETH/USDT"),
        ("BTC_long", "BTC"),
        ("btc_LONG", "BTC"),
        ("BTC LONG", "BTC"),
        ("#идея BTC - шорт", "BTC"),
        ("FF 🟢LONG", "FF"),
        ("FF 🟢\nLONG", "FF"),
        ("FF\n🟢LONG", "FF"),
        ("ff 🔴ШОРТ", "FF"),
        ("1000BONK LONG", "1000BONK"),
        ("#idea LONG", None),
        ("#IDEA LONG", None),
        ("#idea 🟢LONG", None),
        ("W LONG", None),
        ("ETH D LONG", None),
        ("go long", None),
        ("OK. LONG", None),
        ("LONG / BTC", None),
        ("15M LONG", None),
        ("1/2, 24/7, 12.05.2024, 12/05", None),
        ("Депозит 100USDT, 65000 BUSD, 0.31USDT", None),
        ("USDT", None),
        ("FDUSD", None),
        ("SL/TP", None),
        ("t.me/BTCUSDT", None),
        ("ſol/usdt", None),
    ],
)
def test_the_pair_is_upper_case_and_never_a_number(text, pair):
    assert parse(text).pair == pair


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("LONG", Direction.LONG),
        ("short", Direction.SHORT),
        ("Направление: Лонг", Direction.LONG),
        ("ШОРТ!", Direction.SHORT),
        ("BTC_long", Direction.LONG),
        ("BTC/USDT_SHORT", Direction.SHORT),
        ("шорт, не лонг", Direction.SHORT),
        ("лонг, не short", Direction.LONG),
        ("no longer, shortly, лонгую, along", None),
        ("🟢", None),
        ("🔴LONG", Direction.LONG),
    ],
)
def test_the_direction_named_first_counts(text, direction):
    assert parse(text).direction is direction


@pytest.mark.parametrize(
    ("text", "timeframe"),
    [
        *[(text, "15M") for text in ("15М", "15м", "15мин", "15 мин", "15M", "15 min", "15МИН")],
        *[(text, "5M") for text in ("5M", "5m", "на 5м,")],
        *[(text, "1H") for text in ("1H", "1h", "(1ч)")],
        *[(text, "4H") for text in ("4Ч", "4ч", "4h")],
        *[(text, "1D") for text in ("1Д", "1D", "1d")],
        *[(text, "1W") for text in ("1W", "1н", "1Н")],
        ("1M", "1M"),
        ("ТФ: D", "1D"),
        ("tf w", "1W"),
        ("Таймфрейм — Д", "1D"),
        ("Timeframe:\n4h", "4H"),
        ("BTC/USDT LONG D", "1D"),
        ("BTC/USDT | W", "1W"),
        ("Жду 5м\nBTC/USDT 1H", "1H"),
        ("BTC/USDT 1H\nТФ: 4ч", "4H"),
        ("1H и 4H", "1H"),
        ("D", None),
        ("BTC LONG\nTP1 D", None),
        ("BTC LONG TP1 D...", None),
        ("BTC LONG TP1D", None),
        ("BTC/D LONG", None),
        ("a5M, 5Mb, 100к, 0.15м, $5M, 0h, 5M$", None),
        ("10-15м", None),
        ("1000м", None),
        ("15 минимумов", None),
    ],
)
def test_the_timeframe_is_written_one_way(text, timeframe):
    assert parse(text).timeframe == timeframe


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("Вход: 64200-64500", span(64200, 64500)),
        ("Вход 0,3105 – 0,3150", span("0.3105", "0.3150")),
        ("Точка входа 64200 — 64500", span(64200, 64500)),
        ("Зона входа: 64 200 - 64 500", span(64200, 64500)),
        ("Вход: 64500-64200", span(64200, 64500)),
        ("вход от 64200 до 64500", span(64200, 64500)),
        ("Вход (64200-64500)", span(64200, 64500)),
        ("Вход (10-12)", span(10, 12)),
        ("Entry: $1.25", span("1.25")),
        ("Entry zone $1.25 - $1.35", span("1.25", "1.35")),
        ("Entry 1.25$ - 1.35$", span("1.25", "1.35")),
        ("Entry price: 64200 USDT", span(64200)),
        ("Enter 64200USDT", span(64200)),
        ("🎯 ENTRY @ 64200.", span(64200)),
        ("Вход:\n64200 - 64500", span(64200, 64500)),
        ("Вход:\n1) 64200\n2) 64000", span(64000, 64200)),
        ("Вход: 1 234,56", span("1234.56")),
        ("Вход: 1,234.56", span("1234.56")),
        ("Вход: 1.234,56", span("1234.56")),
        ("Вход: 1,234,567", span(1234567)),
        ("Вход: 64,200", span(64200)),
        ("Вход: 64,200, риск 0,5%", span("64.2")),
        ("Вход: 64200 - 2%", span(64200)),
        ("Вход: 50% по рынку, 50% 64200", span(64200)),
        ("Вход по рынку\nВход: 64200", span(64200)),
        ("Вход: market (64200)", span(64200)),
        ("Вход (отложенный, 2 часа): 64200", span(64200)),
        ("Вход:\t64\u00a0200  -  64\u202f500", span(64200, 64500)),
        ("Вход по рынку", None),
        ("Entry: market", None),
        ("Вход после 15 минут", None),
        ("Вход на 2%", None),
        ("Вход: -5", None),
        ("Вход:-5", None),
        ("Вход: 1 234x", None),
        ("Вход: 1,234,56", None),
        ("Вход: 0", None),
        ("Вход: 0,000", None),
        ("Вход: 64k", span(64000)),
        ("Вход: 64'200", None),
        ("Вход: 12.05.2024", None),
        ("Вход: ٣٤٥", None),
        ("Вход: 1٣", None),
        ("Вход: NaN", None),
        ("Вход: Infinity", None),
        ("Вход: 1e5", None),
        ("Входной билет 100", None),
        ("64200", None),
    ],
)
def test_the_entry_is_a_range_or_a_price_and_never_a_guess(text, entry):
    assert parse(text).entry == entry


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TP1: 65000", prices(65000)),
        ("TP 65000", prices(65000)),
        ("TP65000", prices(65000)),
        ("TP 1 65000", prices(65000)),
        ("TP1 65 000", prices(65000)),
        ("TP 65 000", prices(65000)),
        ("TP #1 - $65000", prices(65000)),
        ("TP 10: 65000", prices(65000)),
        ("TP 1.25", prices("1.25")),
        ("TP1.25", prices("1.25")),
        ("TP: 5", prices(5)),
        ("TP 5 / 6", prices(5, 6)),
        ("TP1/TP2/TP3: 65000/66000/67000", prices(65000, 66000, 67000)),
        ("Тейк 1: 65000\nТейк 2: 66000", prices(65000, 66000)),
        ("Тейк-профит 1 65000", prices(65000)),
        ("Тейк профит №2: 65000", prices(65000)),
        ("ТП1 65000, ТП2 66000", prices(65000, 66000)),
        ("1 тейк: 65000\n2 тейк: 66000", prices(65000, 66000)),
        ("1-й тейк: 65000\n2-й тейк: 66000", prices(65000, 66000)),
        ("1) TP 65000\n2) TP 66000", prices(65000, 66000)),
        ("1.TP 65000\n2.TP 66000", prices(65000, 66000)),
        ("1️⃣ TP 65000\n2️⃣ TP 66000", prices(65000, 66000)),
        ("🎯 1 цель: 65000\n🎯 2 цель: 66000", prices(65000, 66000)),
        ("Тейки: 1) 65000 2) 66000", prices(65000, 66000)),
        ("Тейки: 1. 65000 2. 66000", prices(65000, 66000)),
        ("Цель 1: 65000", prices(65000)),
        ("Цели: 65000, 66000, 67000", prices(65000, 66000, 67000)),
        ("Цели: 0,31, 0,32", prices("0.31", "0.32")),
        ("Цели: 65000; 66000", prices(65000, 66000)),
        ("Цели: 65000 / 66000", prices(65000, 66000)),
        ("Цели: 65000 - 66000 - 67000", prices(65000, 66000, 67000)),
        ("Цели: 65 000, 66 000", prices(65000, 66000)),
        ("Targets: 65000 USDT, 66000$ and 67000", prices(65000, 66000, 67000)),
        ("Take profit 1: 65000\nTake-profit 2: 66000", prices(65000, 66000)),
        ("Цели:\n65000\n66000", prices(65000, 66000)),
        ("Цели на сегодня:\n\n• 65000\n• 66000 (50%)", prices(65000, 66000)),
        ("Цели:\n1) 65000\n2. 66000\n3 - 67000\n4️⃣ 68000", prices(65000, 66000, 67000, 68000)),
        ("Цели:\n✅ 65000\n✅ 66000\nПлечо 10\n67000", prices(65000, 66000)),
        ("Цели:\n65000\n\n12.05", prices(65000)),
        ("TP1: 65000 (+2.5%)\nTP2: 66000 (1/3 позиции)", prices(65000, 66000)),
        ("Цели: 65000 (1/3), 66000 (2/3)", prices(65000, 66000)),
        ("TP1 (50%): 65000", prices(65000)),
        ("TP1 (1/3): 65000", prices(65000)),
        ("Цели:\n1) 65x\n2) 66000", ()),
        ("TP1: 65000 (стоп в безубыток)\nTP2: 66000", prices(65000, 66000)),
        ("TP1: 65000 +2.5%", prices(65000)),
        ("TP1: 65000 - 50%", prices(65000)),
        ("Цель 65000, дальше по ситуации 3 дня", prices(65000)),
        ("Цели: 65000, 0, 66000", ()),
        ("TP1: 2.5%, TP2: 5 %", (Percent(Decimal("2.5")), Percent(Decimal(5)))),
        ("Тейк 1", ()),
        ("TP1 взяли, 3 осталось", ()),
        ("Цель 5%", (Percent(Decimal(5)),)),
        ("TP٣ 65000", ()),
        ("Тейк №2 65000", prices(65000)),
        ("FTP 65000, цельна 5, целина 5", ()),
        ("tps", ()),
    ],
)
def test_every_take_profit_is_read_and_its_number_is_no_price(text, expected):
    assert parse(text).take_profits == expected


@pytest.mark.parametrize("pair", ["TGT/USDT", "TP/USDT", "tgt-usdt", "SLUSDT", "STOP/USDT"])
def test_a_coin_that_is_called_as_a_label_is_counts_as_none(pair):
    text = f"{pair} LONG\nEntry 0.31 - 0.33\nTake profit 1 - 0.35\nTP 2 - 0.37\nStop 1 - 0.29"

    fields = parse(text)

    assert fields.take_profits == (Decimal("0.35"), Decimal("0.37"))
    assert fields.stop == parse(text.replace(pair, "BTC/USDT")).stop


@pytest.mark.parametrize(
    ("text", "stop"),
    [
        ("SL 63000", 63000),
        ("sl: $63 000.", 63000),
        ("S/L = 63000", 63000),
        ("Стоп 63000", 63000),
        ("Стоп лосс: 63000", 63000),
        ("Стоп-лосс — 63000 (-2%)", 63000),
        ("стоплос за 63000", 63000),
        ("Stop: 63000", 63000),
        ("Stop loss at 63000", 63000),
        ("Stop:\n63000", 63000),
        ("стоп в безубыток\nSL 63000", 63000),
        ("стоп в безубыток", None),
        ("стоп в безубыток\n63000", None),
        ("Стоп:\n15 минут до выхода", None),
        ("SL: 2%", None),
        ("SL: -63000", None),
        ("SL:- 63000", 63000),
        ("nonstop 5", None),
        ("Стоп поза 5", None),
        ("stopped 5", None),
    ],
)
def test_the_stop_is_a_price_or_absent(text, stop):
    assert parse(text).stop == stop


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("Риск: 2%", "2"),
        ("Риск в сделке 1%", "1"),
        ("риск на сделку: 1.5% от депозита", "1.5"),
        ("Риск 0,5 %", "0.5"),
        ("Risk: 1%", "1"),
        ("Risk per trade - 1%", "1"),
        ("Вход 64200 (риск 2%)", "2"),
        ("Риск 1:3, риск 1%", "1"),
        ("Риск: 2", None),
        ("Риск 0.5-1%", None),
        ("Риск/прибыль 3%", None),
        ("Риск: 0%", None),
        ("Рискованно, 5%", None),
    ],
)
def test_the_risk_is_a_per_cent(text, risk):
    assert parse(text).risk == (risk and Decimal(risk))


def test_a_price_is_exact_and_of_sane_length():
    exact = "12345678901234567890"
    assert len(exact) == 20

    assert parse(f"SL {exact}").stop == Decimal(exact)
    assert parse(f"SL {exact[:2]}.{exact[2:]}").stop == Decimal(f"{exact[:2]}.{exact[2:]}")
    assert parse(f"SL {exact}1").stop is None
    assert parse("SL " + "9" * 4000).stop is None


# ── whatever the text ─────────────────────────────────────────────────────────

WORDS = st.sampled_from(
    [
        *[
            "TP",
            "TP1",
            "Тейк",
            "Цели:",
            "Вход:",
            "Entry",
            "SL",
            "Стоп",
            "Риск",
            "ТФ",
            "D",
            "м",
            "4ч",
        ],
        *[
            "BTC",
            "/USDT",
            "_",
            "LONG",
            "шорт",
            "🟢",
            "🔴",
            "1)",
            "1.",
            "1️⃣",
            "$",
            "%",
            *"()-–,.;: \n",
        ],
        *[
            "15",
            "65000",
            "65",
            "000",
            "1,234.56",
            "0,5",
            "-5",
            "9" * 40,
            "NaN",
            "inf",
            "1e9",
            "٣",
            "³",
        ],
        *[
            "½",
            "Ⅷ",
            "\ud83d",
            "\udfe2",
            "İ",
            "ſ",
            "\u212a",
            "\u1c81",
            "\u0306",
            "\u00a0",
            "\u2028",
            "\x00",
        ],
    ]
)


@pytest.mark.long
@settings(max_examples=500, deadline=None)
@given(
    st.text(st.characters(codec=None))
    | st.lists(WORDS).map("".join)
    | st.lists(WORDS).map(" ".join)
)
@example("\ud83d")
@example("TP " + "9" * 5000)
def test_reading_never_fails_and_makes_no_number_up(text):
    fields = parse(text)

    targets = [each.value if isinstance(each, Percent) else each for each in fields.take_profits]
    found = [*(fields.entry or ()), *targets, fields.stop, fields.risk, fields.leverage]
    digits = re.sub(r"[^0-9]", "", text)
    for number in filter(lambda each: each is not None, found):
        assert number.is_finite()
        assert number > 0
        assert f"{number:f}".replace(".", "").strip("0") in digits
    assert fields.entry is None or fields.entry.low <= fields.entry.high


@pytest.mark.long
def test_no_character_at_all_breaks_a_field():
    """Ignoring case pairs letters oddly ("ᲁ" with "д"), and only trying every one of them shows which."""
    for code in range(sys.maxunicode + 1):
        if chr(code).isalpha() and chr(code).lower() != chr(code).upper():
            odd = chr(code)
            parse(f"BTC {odd}ONG {odd}HORT 15{odd}")


@pytest.mark.parametrize(
    "unit",
    [
        *" \t\u00a01,.-–:()%$٣\n\ud83d🟢TлA",
        *[
            "1 ",
            "1,",
            "1)",
            "(1",
            "(a",
            "1 000 ",
            "1-",
            "(1%",
            " (",
            "1 (",
            "TP ",
            "TP1",
            "TP (",
            "A1",
            "BTC/",
        ],
        *[
            "Риск в а",
            "\n1",
            "1️⃣",
            "от ",
            "BTC LONG ",
            "BTC 🟢",
            "SL\n",
            "D ",
            "15м",
            "1. ",
            "тейк-",
            "1)(",
            "LONG\n",
            "a.",
            "BTCUSDT TP 1 ",
            "(TP",
        ],
    ],
)
@pytest.mark.heavy
@pytest.mark.parametrize("opening", ["", "Цели: ", "Вход (", "BTC LONG TP ", "Риск в "])
def test_a_hostile_text_costs_no_more_than_its_length(opening, unit):
    """Eight times the text may cost eight times the work, with a margin; a quadratic reader takes 64 times."""

    def work(length):
        text = (opening + unit * length)[:length]
        start = time.process_time_ns()
        parse(text)
        return time.process_time_ns() - start

    # The work itself, not the wall clock; the best of three, since another process may cool the cache.
    one = max(min(work(512) for _ in range(3)), 100_000)
    assert any(work(8 * 512) < 8 * 4 * one for _ in range(3))


# ── what was written is what is read ──────────────────────────────────────────


def point(price):
    return f"{price:f}"


def comma(price):
    return f"{price:f}".replace(".", ",")


def spaced(price):
    return f"{price:,f}".replace(",", " ")


def english(price):
    """Grouped only where that is unambiguous: see `parse`."""
    return f"{price:,f}" if "." in f"{price:f}" else f"${price:f}"


TAKES = {
    "labels": lambda numbers: "\n".join(f"TP{i}: {n}" for i, n in enumerate(numbers, 1)),
    "Russian labels": lambda numbers: "\n".join(
        f"Тейк-профит {i} — {n} (+{i}%)" for i, n in enumerate(numbers, 1)
    ),
    "a row": lambda numbers: "Цели: " + ", ".join(numbers),
    "a row of dashes": lambda numbers: "Targets: " + " - ".join(numbers),
    "a numbered row": lambda numbers: (
        "Тейки: " + " ".join(f"{i}) {n}" for i, n in enumerate(numbers, 1))
    ),
    "a list with empty lines": lambda numbers: (
        "Take-Profit Targets:\n\n" + "\n\n".join(f"{i}) {n}" for i, n in enumerate(numbers, 1))
    ),
    "hyphens": lambda numbers: "\n".join(f"TP-{i} {n}" for i, n in enumerate(numbers, 1)),
    "a list": lambda numbers: "Цели:\n" + "\n".join(f"• {n} USDT" for n in numbers),
    "a numbered list": lambda numbers: (
        "Targets\n" + "\n".join(f"{i}. {n}$" for i, n in enumerate(numbers, 1))
    ),
}
HEADS = ["#Идея {pair} {way} {time}", "{way} 🟢 {pair}\nТФ: {time}", "{pair}\n{time}\n{way}"]
ENTRIES = [
    "Entry Targets:\n1) {}\n2) {}",
    "Entries: {} / {}",
    "Entry 1: {}\nEntry 2: {}",
    "Вход: {}-{}",
    "Точка входа {} – {}",
    "Entry zone: {} — {}",
    "вход от {} до {}",
]
STOPS = [
    "Stop Targets: 1) {}",
    "S.L {}",
    "Стоп ниже {}",
    "SL: {}",
    "Стоп-лосс {}",
    "🛑 Stop loss — {}",
]
LEVERAGES = ["Плечо: {}x", "Leverage: Cross {}X", "плечо х{}", "Lev {}"]
RISKS = ["Риск: {}%", "Риск в сделке {} %", "Risk {}%"]

PRICES = st.decimals("0.001", "999999", places=4).map(
    lambda price: Decimal(f"{price:f}".rstrip("0").rstrip("."))
)
TICKERS = st.from_regex(r"[A-Z]{3,6}", fullmatch=True, alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _around(stop, direction, draw):
    """An entry and targets that a trader may set for that stop, in per mille of it."""
    sign = 1 if direction is Direction.LONG else -1
    steps = draw(st.lists(st.integers(1, 60), min_size=3, max_size=11))
    away = [stop * (1000 + sign * sum(steps[: n + 1])) / 1000 for n in range(len(steps))]
    return Span(*sorted(away[:2])), tuple(away[2:])


@st.composite
def written_signals(draw):
    """A signal's fields, and one of the ways people write them."""
    ticker = draw(
        TICKERS.filter(
            lambda name: not name.endswith("USD") and name not in {"LONG", "SHORT", "USDT", "USDC"}
        )
    )
    stop = draw(PRICES)
    direction = draw(st.sampled_from(Direction))
    entry, targets = _around(stop, direction, draw)
    fields = SignalFields(
        pair=f"{ticker}/USDT",
        direction=direction,
        timeframe=draw(st.sampled_from(["1M", "5M", "15M", "1H", "4H", "1D", "1W"])),
        entry=entry,
        take_profits=targets,
        stop=stop,
        risk=draw(st.sampled_from([Decimal("0.5"), Decimal(1), Decimal(10)])),
        leverage=draw(st.sampled_from([None, Decimal(5), Decimal(20)])),
    )
    write = draw(st.sampled_from([point, comma, spaced, english]))
    if write is spaced and max(entry.high, stop, *targets) >= 100_000:
        write = point  # "104 105" may be two prices
    russian = str.maketrans("MHDW", "мЧДн")
    lines = [
        draw(st.sampled_from(HEADS)).format(
            pair=draw(
                st.sampled_from(
                    [fields.pair, fields.pair.lower(), f"{ticker}USDT", f"${ticker}-USDT"]
                )
            ),
            way=draw(
                st.sampled_from(
                    {"LONG": ["LONG", "Лонг"], "SHORT": ["short", "ШОРТ"]}[fields.direction]
                )
            ),
            time=draw(st.sampled_from([fields.timeframe, fields.timeframe.translate(russian)])),
        ),
        draw(st.sampled_from(ENTRIES)).format(*map(write, entry)),
        TAKES[draw(st.sampled_from(sorted(TAKES)))](
            [write(price) for price in fields.take_profits]
        ),
        draw(st.sampled_from(STOPS)).format(write(fields.stop)),
        draw(st.sampled_from(RISKS)).format(comma(fields.risk)),
    ]
    if fields.leverage is not None:
        lines.append(draw(st.sampled_from(LEVERAGES)).format(fields.leverage))
    text = draw(st.sampled_from(["\n", "\n\n"])).join(lines)
    # Commas that all group three digits would say thousands.
    assume(write is not comma or re.search(r"[0-9],(?![0-9]{3}(?![0-9]))[0-9]", text))
    return fields, text


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(written_signals())
def test_what_was_written_is_what_is_read(written):
    fields, text = written

    assert parse(text) == fields
