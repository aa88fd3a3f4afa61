"""What is read from the formats of many channels: each kind of writing is a test of its own."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.rules.markers import parse
from bot.signal_fields import decimal_text


def said(**fields):
    """What a reader sees; what is not named is not said."""
    return fields


def read(text):
    fields = parse(text)
    found = {
        "pair": fields.pair,
        "direction": fields.direction,
        "entry": fields.entry and list(fields.entry),
        "take_profits": list(fields.take_profits),
        "stop": fields.stop,
        "leverage": fields.leverage,
        "risk": fields.risk,
        "timeframe": fields.timeframe,
    }
    return {name: value for name, value in found.items() if value}


def comparable(fields):
    """Numbers by their value: 1.10 is 1.1; a per cent as its text."""

    def number(value):
        text = value if isinstance(value, str) else decimal_text(value)
        return text if text.endswith("%") else Decimal(text)

    texts = {"pair", "direction", "timeframe"}
    return {
        name: value
        if name in texts
        else list(map(number, value))
        if isinstance(value, list)
        else number(value)
        for name, value in fields.items()
    }


def check(text, expected):
    assert comparable(read(text)) == comparable(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "⚡️⚡️ #BTC/USDT ⚡️⚡️\nExchanges: Binance Futures\nSignal Type: Regular (Short)\nLeverage: Isolated (5.0X)\n\nEntry Targets:\n1) 39500\n2) 39600\n\nTake-Profit Targets:\n1) 39000 - 20%\n2) 38500 - 20%\n\nStop Targets:\n1) 40100\n\nTrailing Configuration:\nStop: Breakeven -\n  Trigger: Target (1)",
            said(
                pair="BTC/USDT",
                direction="SHORT",
                entry=["39500", "39600"],
                take_profits=["39000", "38500"],
                stop="40100",
                leverage="5",
            ),
        ),
        ("Stop Targets: 1) 39100", said(stop="39100")),
        (
            "#LINK/USDT\nLONG\nEntry Zone: 14.2 - 14.5\nTake-Profit Targets:\n\n1) 14.8\n\n2) 15.2\n\n3) 16\n\nStop Targets:\n\n1) 13.7\n",
            said(
                pair="LINK/USDT",
                direction="LONG",
                entry=["14.2", "14.5"],
                take_profits=["14.8", "15.2", "16"],
                stop="13.7",
            ),
        ),
    ],
)
def test_stop_targets_name_the_stop_and_lists_may_have_empty_lines(text, expected):
    """What Cornix calls targets of the entry and of the stop are no take profits."""
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SL: .0001", said(stop="0.0001")),
        (
            "Entry .5 TP .6 SL .45",
            said(direction="LONG", entry=["0.5", "0.5"], take_profits=["0.6"], stop="0.45"),
        ),
        (
            "PEPEUSDT LONG\nEntry: .0000105 - .0000107\nTP: .0000115\nSL: .0000098",
            said(
                pair="PEPE/USDT",
                direction="LONG",
                entry=["0.0000105", "0.0000107"],
                take_profits=["0.0000115"],
                stop="0.0000098",
            ),
        ),
    ],
)
def test_a_price_may_begin_with_its_point(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "BTC LONG\nEntry: 64-65k\nTP: 67k, 70k\nSL 62.5k",
            said(
                pair="BTC",
                direction="LONG",
                entry=["64000", "65000"],
                take_profits=["67000", "70000"],
                stop="62500",
            ),
        ),
        (
            "BTC LONG\nEntry: 64k-65k\nTP: 67k / 70k\nSL: 62k",
            said(
                pair="BTC",
                direction="LONG",
                entry=["64000", "65000"],
                take_profits=["67000", "70000"],
                stop="62000",
            ),
        ),
        (
            "Вход: 64-65к\nТейк: 67к\nСтоп: 63к",
            said(direction="LONG", entry=["64000", "65000"], take_profits=["67000"], stop="63000"),
        ),
    ],
)
def test_a_k_means_thousands_for_both_ends_of_a_range(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "BTC/USDT SHORT\nEntry: $65,000\nTargets: $64,000, $63,000\nStop: $66,500",
            said(
                pair="BTC/USDT",
                direction="SHORT",
                entry=["65000", "65000"],
                take_profits=["64000", "63000"],
                stop="66500",
            ),
        ),
        (
            "BTC/USDT SHORT\nEntry: 65,000 - 65,500\nTargets: 64,000 / 63,000\nStop: 66,500",
            said(
                pair="BTC/USDT",
                direction="SHORT",
                entry=["65000", "65500"],
                take_profits=["64000", "63000"],
                stop="66500",
            ),
        ),
        (
            "ETH/USDT LONG\nВход: 0,310-0,3200\nТейк: 0,35\nСтоп: 0,300",
            said(
                pair="ETH/USDT",
                direction="LONG",
                entry=["0.31", "0.32"],
                take_profits=["0.35"],
                stop="0.3",
            ),
        ),
    ],
)
def test_a_dollar_or_commas_that_all_group_three_digits_say_thousands(text, expected):
    """Otherwise, and between two currencies, a comma is a decimal mark."""
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "EURUSD BUY 1.0600\nTP1 1.0670 +70\nTP2 1.0700 +100\nSL 1.0550 -50",
            said(
                pair="EUR/USD",
                direction="LONG",
                entry=["1.06", "1.06"],
                take_profits=["1.067", "1.07"],
                stop="1.055",
            ),
        ),
        (
            "GBPUSD SELL 1.2500\nTP1: 1.2450 (50 pips)\nTP2: 1.2400 100 pips\nSL: 1.2550 50pips",
            said(
                pair="GBP/USD",
                direction="SHORT",
                entry=["1.25", "1.25"],
                take_profits=["1.245", "1.24"],
                stop="1.255",
            ),
        ),
        (
            "XAUUSD BUY 2030\nSL 50 pips\nTP 100 pips",
            said(pair="XAU/USD", direction="LONG", entry=["2030", "2030"]),
        ),
        (
            "Лонг EURUSD от 1.0600\nСтоп 50 пунктов\nТейк 1.0700",
            said(pair="EUR/USD", direction="LONG", entry=["1.06", "1.06"], take_profits=["1.07"]),
        ),
        (
            "BTCUSDT long 65000\nSL 2 ATR\nTP 67000",
            said(
                pair="BTC/USDT", direction="LONG", entry=["65000", "65000"], take_profits=["67000"]
            ),
        ),
        ("BTCUSDT\nSL: 1.5R\nTP: 3R", said(pair="BTC/USDT")),
        (
            "USDJPY BUY 149.50\nTP1 150.20 +70\nTP2 151.00 +150\nSL 148.80 -70",
            said(
                pair="USD/JPY",
                direction="LONG",
                entry=["149.50", "149.50"],
                take_profits=["150.20", "151"],
                stop="148.80",
            ),
        ),
        (
            "USDJPY SELL 149.50\nTP1 149.20 -30\nTP2 148.50 100p\nSL 150",
            said(
                pair="USD/JPY",
                direction="SHORT",
                entry=["149.50", "149.50"],
                take_profits=["149.20", "148.50"],
                stop="150",
            ),
        ),
        ("Targets 21510 -20900 -20400", said(take_profits=["21510", "20900", "20400"])),
    ],
)
def test_a_distance_is_no_price(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "BTCUSDT LONG\nEntry 40000\nTP-1 41000\nTP-2 42000\nSL-39000",
            said(
                pair="BTC/USDT",
                direction="LONG",
                entry=["40000", "40000"],
                take_profits=["41000", "42000"],
                stop="39000",
            ),
        ),
        (
            "Лонг BTC/USDT\nВход-1 40000\nЦель-1 41000\nЦель-2 42000\nСтоп-лосс 39000",
            said(
                pair="BTC/USDT",
                direction="LONG",
                entry=["40000", "40000"],
                take_profits=["41000", "42000"],
                stop="39000",
            ),
        ),
    ],
)
def test_a_number_joined_to_its_label_by_a_hyphen_says_which(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SIDE: SHORT", said(direction="SHORT")),
        ("DIRECTION : SHORT", said(direction="SHORT")),
        ("$ONDO LIMIT LONG", said(pair="ONDO", direction="LONG")),
        ("BTC H4 LONG", said(pair="BTC", direction="LONG", timeframe="H4")),
        ("TYPE: LONG\nPAIR: SOL/USDT", said(pair="SOL/USDT", direction="LONG")),
        ("$TIA MARKET SHORT", said(pair="TIA", direction="SHORT")),
        ("ETH M15 SHORT", said(pair="ETH", direction="SHORT", timeframe="M15")),
    ],
)
def test_a_word_of_the_vocabulary_is_no_pair(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Entry: 3️⃣5️⃣0️⃣0️⃣", said(entry=["3500", "3500"])),
        (
            "ETH LONG\nEntry: 3️⃣4️⃣0️⃣0️⃣ - 3️⃣5️⃣0️⃣0️⃣\n1️⃣ TP 3600\n2️⃣ TP 3700\nSL: 3️⃣3️⃣0️⃣0️⃣",
            said(
                pair="ETH",
                direction="LONG",
                entry=["3400", "3500"],
                take_profits=["3600", "3700"],
                stop="3300",
            ),
        ),
    ],
)
def test_keycaps_in_a_row_are_digits_and_one_alone_numbers_a_list(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Entry: 65\u200b000\nTP: 66\u2060000",
            said(entry=["65000", "65000"], take_profits=["66000"]),
        ),
    ],
)
def test_what_a_reader_does_not_see_does_not_cut_a_number(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Entry: 12:30 65000", said(entry=["65000", "65000"])),
        (
            "Вход 09:15 65000\nТейк 18:00 66000",
            said(entry=["65000", "65000"], take_profits=["66000"]),
        ),
    ],
)
def test_a_time_of_day_is_no_price(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "BTC LONG\nEntry 65000\nTP 66000\nSL 64000\n\nETH SHORT\nEntry 3500\nTP 3400\nSL 3600",
            said(),
        ),
        (
            "BTC/USDT LONG 65000 TP 66000 SL 64000\nETH/USDT LONG 3500 TP 3600 SL 3400",
            said(direction="LONG"),
        ),
        ("EURUSD BUY 1.1000 SL 1.0950 TP 1.1100 GBPUSD SELL 1.2500 SL 1.2550 TP 1.2400", said()),
        ("BUY GOLD 2030 SL 2020 TP 2040\nSELL GOLD 2060 SL 2070 TP 2050", said()),
    ],
)
def test_of_two_trades_in_one_message_no_price_is_read(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "USDJPY SELL NOW @ 151.200\nSL: 151.700\nTP: 150.500",
            said(
                pair="USD/JPY",
                direction="SHORT",
                entry=["151.2", "151.2"],
                take_profits=["150.5"],
                stop="151.7",
            ),
        ),
        (
            "NAS100 SELL 18000\nTP 17900\nSL 18100",
            said(
                pair="NAS100",
                direction="SHORT",
                entry=["18000", "18000"],
                take_profits=["17900"],
                stop="18100",
            ),
        ),
        (
            "EURGBP Buy Limit 0.8500\nTP 0.8600\nSL 0.8450",
            said(
                pair="EUR/GBP",
                direction="LONG",
                entry=["0.85", "0.85"],
                take_profits=["0.86"],
                stop="0.845",
            ),
        ),
        (
            "GBPUSD BUY STOP @ 1.2550\nSL 1.2500\nTP 1.2650",
            said(
                pair="GBP/USD",
                direction="LONG",
                entry=["1.255", "1.255"],
                take_profits=["1.265"],
                stop="1.25",
            ),
        ),
    ],
)
def test_currencies_metals_and_indices_are_pairs(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Buy: 0.0123-0.0125\nTP1: 0.013\nSL: 0.0119\n#ADA/USDT",
            said(
                pair="ADA/USDT",
                direction="LONG",
                entry=["0.0123", "0.0125"],
                take_profits=["0.013"],
                stop="0.0119",
            ),
        ),
        (
            "ADA/USDT\nLONG : 0.38\nTARGET : 0.40\nSTOP : 0.36",
            said(
                pair="ADA/USDT",
                direction="LONG",
                entry=["0.38", "0.38"],
                take_profits=["0.4"],
                stop="0.36",
            ),
        ),
        (
            "SOL/USDT LONG\nEntries: 150, 148\nTPs: 155, 160\nSL: 145",
            said(
                pair="SOL/USDT",
                direction="LONG",
                entry=["148", "150"],
                take_profits=["155", "160"],
                stop="145",
            ),
        ),
        (
            "SOL/USDT LONG\nEntry1: 150\nEntry2: 148\nTP1: 155\nSL1: 145",
            said(
                pair="SOL/USDT",
                direction="LONG",
                entry=["148", "150"],
                take_profits=["155"],
                stop="145",
            ),
        ),
        (
            "SOL/USDT LONG\nEntry 1: 150\nEntry 2: 148\nTP 1: 155\nTP 2: 160\nSL 1: 145",
            said(
                pair="SOL/USDT",
                direction="LONG",
                entry=["148", "150"],
                take_profits=["155", "160"],
                stop="145",
            ),
        ),
        (
            "SOL/USDT LONG\n1st entry: 150\n2nd entry: 148\nTP: 155\nSL: 145",
            said(
                pair="SOL/USDT",
                direction="LONG",
                entry=["148", "150"],
                take_profits=["155"],
                stop="145",
            ),
        ),
        (
            "ETH/USDT SHORT\nВход 2500 / 2550\nТейк 2400 / 2300\nСтоп 2600",
            said(
                pair="ETH/USDT",
                direction="SHORT",
                entry=["2500", "2550"],
                take_profits=["2400", "2300"],
                stop="2600",
            ),
        ),
    ],
)
def test_a_direction_may_name_the_entry_and_entries_may_be_several(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "EURJPY BUY 160.50\nS.L 160.00\nT.P 161.50",
            said(
                pair="EUR/JPY",
                direction="LONG",
                entry=["160.5", "160.5"],
                take_profits=["161.5"],
                stop="160",
            ),
        ),
        (
            "EURJPY BUY 160.50\nS.L. 160.00\nT.P.1 161.50\nT.P.2 162.00",
            said(
                pair="EUR/JPY",
                direction="LONG",
                entry=["160.5", "160.5"],
                take_profits=["161.5", "162"],
                stop="160",
            ),
        ),
        ("Стоп ниже 63000", said(stop="63000")),
        ("Стоп: под 63000", said(stop="63000")),
        ("Stop below 63000", said(stop="63000")),
    ],
)
def test_labels_have_many_spellings(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "DOT LONG\nEntry 4.5\nTP 5\nTP 5.5\nTP 6\nSL 4.2",
            said(
                pair="DOT",
                direction="LONG",
                entry=["4.5", "4.5"],
                take_profits=["5", "5.5", "6"],
                stop="4.2",
            ),
        ),
        (
            "DOT/USDT LONG\nвход 4.5\nTP 5\nSL 4",
            said(
                pair="DOT/USDT",
                direction="LONG",
                entry=["4.5", "4.5"],
                take_profits=["5"],
                stop="4",
            ),
        ),
        ("BTC LONG\nTP 1\nTP 2\nTP 3", said(pair="BTC", direction="LONG")),
    ],
)
def test_a_small_number_behind_tp_is_a_price_where_the_others_say_so(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BTC/USDT 4 часа LONG", said(pair="BTC/USDT", direction="LONG", timeframe="4H")),
        ("BTC/USDT LONG 1 Hour", said(pair="BTC/USDT", direction="LONG", timeframe="1H")),
        ("BTC/USDT LONG\n15 минут", said(pair="BTC/USDT", direction="LONG", timeframe="15M")),
        ("Timeframe: H1", said(timeframe="H1")),
        ("ТФ: M15", said(timeframe="M15")),
        ("ТФ 1 день", said(timeframe="1D")),
        ("Timeframe: Daily", said(timeframe="1D")),
    ],
)
def test_timeframes_have_many_spellings_and_metatraders_stays(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BTC LONG x10", said(pair="BTC", direction="LONG", leverage="10")),
        ("BTC LONG 10x", said(pair="BTC", direction="LONG", leverage="10")),
        ("BTC лонг плечо 5", said(pair="BTC", direction="LONG", leverage="5")),
        ("Плечо: 5х", said(leverage="5")),
        ("Leverage: 20", said(leverage="20")),
        ("Leverage : Cross 25X", said(leverage="25")),
        ("Плечо до 10х", said(leverage="10")),
        ("Lev: 5x-10x", said(leverage="10")),
        ("Кросс 20х", said(leverage="20")),
        ("ждём 100x от этой монеты", said()),
    ],
)
def test_the_leverage_is_read_and_the_highest_of_several_counts(text, expected):
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "BTC LONG\nВход 65000\nTP1: 2%\nTP2: 5%\nSL: 64000",
            said(
                pair="BTC",
                direction="LONG",
                entry=["65000", "65000"],
                take_profits=["2%", "5%"],
                stop="64000",
            ),
        ),
        ("Targets: 3% / 5% / 10%", said(take_profits=["3%", "5%", "10%"])),
        ("TP1 25%, TP2 25%, TP3 50%", said()),
    ],
)
def test_a_per_cent_is_a_target_where_all_targets_are(text, expected):
    """Shares of the position, which add up to 100, are none."""
    check(text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "🔴 SHORT $AVAX\n\nEntry: CMP & 38.5\nTP: 35, 33, 30\nSL: 40.2\nLeverage: 5x",
            said(
                pair="AVAX",
                direction="SHORT",
                entry=["38.5", "38.5"],
                take_profits=["35", "33", "30"],
                stop="40.2",
                leverage="5",
            ),
        ),
        (
            "📌 XAGUSD | SELL\nEntry: 28.10–28.30\nSL: 28.60\nTP1: 27.80\nTP2: 27.50",
            said(
                pair="XAG/USD",
                direction="SHORT",
                entry=["28.1", "28.3"],
                take_profits=["27.8", "27.5"],
                stop="28.6",
            ),
        ),
        (
            "SELL GOLD NOW 2345.5\n\nTP1: 2340\nTP2: 2335\nTP3: OPEN\n\nSL: 2355",
            said(
                pair="XAU/USD",
                direction="SHORT",
                entry=["2345.5", "2345.5"],
                take_profits=["2340", "2335"],
                stop="2355",
            ),
        ),
        (
            "#XAUUSD\nBuy Now: 2330-2327\nSl: 2322\nTp1: 2333\nTp2: 2336\nTp3: 2345+",
            said(
                pair="XAU/USD",
                direction="LONG",
                entry=["2327", "2330"],
                take_profits=["2333", "2336", "2345"],
                stop="2322",
            ),
        ),
        (
            "Золото. Покупаем от 2330, стоп 2320, цели 2340 и 2350",
            said(
                pair="XAU/USD",
                direction="LONG",
                entry=["2330", "2330"],
                take_profits=["2340", "2350"],
                stop="2320",
            ),
        ),
        (
            "Сигнал: ПРОДАЖА GBPUSD\nЦена входа: 1.2650\nСтоп-лосс: 1.2700\nТейк-профит: 1.2550",
            said(
                pair="GBP/USD",
                direction="SHORT",
                entry=["1.265", "1.265"],
                take_profits=["1.255"],
                stop="1.27",
            ),
        ),
        (
            "Монета: SUI\nНаправление: Лонг\nПлечо: 10x\nТочка входа: 3.45\nТейки:\n3.50\n3.60\n3.75\nСтоп: 3.30",
            said(
                pair="SUI",
                direction="LONG",
                entry=["3.45", "3.45"],
                take_profits=["3.5", "3.6", "3.75"],
                stop="3.3",
                leverage="10",
            ),
        ),
        (
            "Шорт #AVAX от 25.4, стоп 26.1, цели 24.8 / 24.1 / 23.5, плечо х5, риск 1%",
            said(
                pair="AVAX",
                direction="SHORT",
                entry=["25.4", "25.4"],
                take_profits=["24.8", "24.1", "23.5"],
                stop="26.1",
                leverage="5",
                risk="1",
            ),
        ),
        (
            "#1000PEPE/USDT (Long📈, x20)\n\nEntry - 0.01105\nSL - 0.01075\n\nTake-Profit:\n🥉 0.0112 (40% of profit)\n🥈 0.0114 (60% of profit)\n🥇 0.0117 (80% of profit)",
            said(
                pair="1000PEPE/USDT",
                direction="LONG",
                entry=["0.01105", "0.01105"],
                take_profits=["0.0112", "0.0114", "0.0117"],
                stop="0.01075",
                leverage="20",
            ),
        ),
        (
            "🟢 LONG #INJUSDT\nEntry Price: 25.30\n\nStop Loss: 24.10 (-4.7%)\n\nTarget 1: 26.00 (+2.7%)\nTarget 2: 27.10 (+7.1%)\nLeverage: 5-10X",
            said(
                pair="INJ/USDT",
                direction="LONG",
                entry=["25.3", "25.3"],
                take_profits=["26", "27.1"],
                stop="24.1",
                leverage="10",
            ),
        ),
        (
            "Coin: #OP/USDT\nLONG SET-UP\nLeverage: 5-10x\nETRY: 2.1\nTarget: 2.2-2.3-2.5\nSTOP LOSS: 1.98",
            said(
                pair="OP/USDT",
                direction="LONG",
                take_profits=["2.2", "2.3", "2.5"],
                stop="1.98",
                leverage="10",
            ),
        ),
        (
            "AAPL BUY @ 190.5 TP 195 SL 187",
            said(
                pair="AAPL",
                direction="LONG",
                entry=["190.5", "190.5"],
                take_profits=["195"],
                stop="187",
            ),
        ),
        (
            "$TSLA long 240, tp 255, sl 232",
            said(
                pair="TSLA",
                direction="LONG",
                entry=["240", "240"],
                take_profits=["255"],
                stop="232",
            ),
        ),
        (
            "Signal #1234\nBTC/USDT SHORT\nEntry: 65000",
            said(pair="BTC/USDT", direction="SHORT", entry=["65000", "65000"]),
        ),
        (
            "Покупка EUR/USD\nвход: 1,0850\nстоп: 1,0800\nтейк: 1,0950",
            said(
                pair="EUR/USD",
                direction="LONG",
                entry=["1.085", "1.085"],
                take_profits=["1.095"],
                stop="1.08",
            ),
        ),
        (
            "EURJPY продажа 160,250\nстоп 160,750\nтейк 159,500",
            said(
                pair="EUR/JPY",
                direction="SHORT",
                entry=["160.25", "160.25"],
                take_profits=["159.5"],
                stop="160.75",
            ),
        ),
        (
            "BTCUSDT LONG\nEntry: 64 200 – 64 500\nTP: 65 000 / 66 000\nSL: 63 500",
            said(
                pair="BTC/USDT",
                direction="LONG",
                entry=["64200", "64500"],
                take_profits=["65000", "66000"],
                stop="63500",
            ),
        ),
        ("Цели: 105 110 115", said()),
        (
            "XAUUSD BUY 4438/33\nSL 4428\nTP 4443/48/53",
            said(pair="XAU/USD", direction="LONG", stop="4428"),
        ),
        (
            "Short term LONG on BTC/USDT\nEntry 65000",
            said(pair="BTC/USDT", direction="LONG", entry=["65000", "65000"]),
        ),
        ("Long-term hold, SHORT now ETH/USDT", said(pair="ETH/USDT", direction="SHORT")),
        ("Long/Short ratio is high. SHORT BTC/USDT", said(pair="BTC/USDT", direction="SHORT")),
        (
            "𝗕𝗨𝗬 𝗫𝗔𝗨𝗨𝗦𝗗 𝟮𝟬𝟯𝟬\n𝗧𝗣 𝟮𝟬𝟰𝟬\n𝗦𝗟 𝟮𝟬𝟮𝟬",
            said(
                pair="XAU/USD",
                direction="LONG",
                entry=["2030", "2030"],
                take_profits=["2040"],
                stop="2020",
            ),
        ),
        ("TP1: 1.2345 ✅\nTP2: 1.2400\nTP3: 1.2500", said(take_profits=["1.2345", "1.24", "1.25"])),
        (
            "ETH long from 2500 to 2550, tp1 2600 tp2 2700 sl 2400",
            said(
                pair="ETH",
                direction="LONG",
                entry=["2500", "2550"],
                take_profits=["2600", "2700"],
                stop="2400",
            ),
        ),
        (
            "BTC/USDT\nLong entry: 65000\nTake profit: 67000\nStop: 64000\nR:R 1:2",
            said(
                pair="BTC/USDT",
                direction="LONG",
                entry=["65000", "65000"],
                take_profits=["67000"],
                stop="64000",
            ),
        ),
        (
            "BTC LONG от 64000-64500. Стоп - 63000. Тейки - 65000, 66000, 67000.",
            said(
                pair="BTC",
                direction="LONG",
                entry=["64000", "64500"],
                take_profits=["65000", "66000", "67000"],
                stop="63000",
            ),
        ),
        (
            "EUR/USD SHORT 1.0850-1.0870 SL 1.0900 TP1 1.0800 TP2 1.0750 RR 1:2",
            said(
                pair="EUR/USD",
                direction="SHORT",
                entry=["1.085", "1.087"],
                take_profits=["1.08", "1.075"],
                stop="1.09",
            ),
        ),
        (
            "US30 sell limit 39500\nsl 39650\ntp 39000",
            said(
                pair="US30",
                direction="SHORT",
                entry=["39500", "39500"],
                take_profits=["39000"],
                stop="39650",
            ),
        ),
        (
            "Gold sell zone: 2355-2358\nSL: 2363\nTP: 2350-2345-2340",
            said(
                pair="XAU/USD",
                direction="SHORT",
                entry=["2355", "2358"],
                take_profits=["2350", "2345", "2340"],
                stop="2363",
            ),
        ),
        (
            "GBPJPY\nSELL: 190.500\nTP: 189.500\nSL: 191.200\nRisk: 1%",
            said(
                pair="GBP/JPY",
                direction="SHORT",
                entry=["190.5", "190.5"],
                take_profits=["189.5"],
                stop="191.2",
                risk="1",
            ),
        ),
        (
            "XAUUSD M5 SELL 2350.5",
            said(pair="XAU/USD", direction="SHORT", entry=["2350.5", "2350.5"], timeframe="M5"),
        ),
        (
            "Pair: EURUSD\nType: SELL LIMIT\nPrice: 1.0950\nSL: 1.1000\nTP: 1.0850",
            said(
                pair="EUR/USD",
                direction="SHORT",
                entry=["1.095", "1.095"],
                take_profits=["1.085"],
                stop="1.1",
            ),
        ),
        (
            "BUY 2 lots EURUSD at market, SL 1.0500",
            said(pair="EUR/USD", direction="LONG", stop="1.05"),
        ),
        (
            "BTC/USDT: LONG\n🎯Вход: 67300-67500 (2% депо)\n🎯Цель 1: 68000 (закрыть 50%)\n🎯Цель 2: 69000\n⛔️Стоп: 66800",
            said(
                pair="BTC/USDT",
                direction="LONG",
                entry=["67300", "67500"],
                take_profits=["68000", "69000"],
                stop="66800",
            ),
        ),
        (
            "GOLD SELL 5054-5058\n\nTP¹ 5050\nTP② 5045\n\nSL 5062",
            said(
                pair="XAU/USD",
                direction="SHORT",
                entry=["5054", "5058"],
                take_profits=["5050", "5045"],
                stop="5062",
            ),
        ),
        (
            "Sell EurUsd at market price 1.1234\nStop loss 1.1300",
            said(pair="EUR/USD", direction="SHORT", entry=["1.1234", "1.1234"], stop="1.1300"),
        ),
        (
            "🔴 Exit Signal\nSide: SELL\nSymbol: BTCUSD\nPrice: 65848.64",
            said(pair="BTC/USD", direction="SHORT"),
        ),
        ("#BTC/USDT All entry targets achieved\nAverage Entry Price: 42000", said(pair="BTC/USDT")),
        (
            "Шорт биткоин от 65000 стоп 66000 тейк 63000",
            said(direction="SHORT", entry=["65000", "65000"], take_profits=["63000"], stop="66000"),
        ),
        (
            "BUY GBPUSD @ 1.3050-55\nSL 1.3000\nTP 1.3150",
            said(pair="GBP/USD", direction="LONG", take_profits=["1.3150"], stop="1.3000"),
        ),
        (
            "#APT/USDT \n🟢 Long \nLeverage: 5X\n👉 Entry = 7.65 - 7.29\nTARGET-  7.8 - 8.0 - 9+\n❌STOP LOSS - 6.9",
            said(
                pair="APT/USDT",
                direction="LONG",
                entry=["7.29", "7.65"],
                take_profits=["7.8", "8", "9"],
                stop="6.9",
                leverage="5",
            ),
        ),
        (
            "Name: ADA/USDT\n🔴 Short\nMargin mode: Isolated (10.0X)\n↪️ Entry price(USDT):\n0.4619\nTargets(USDT):\n1) 0.4565\n2) 0.4511\n3) 🔝 unlimited",
            said(
                pair="ADA/USDT",
                direction="SHORT",
                entry=["0.4619", "0.4619"],
                take_profits=["0.4565", "0.4511"],
                leverage="10",
            ),
        ),
        (
            "LONG ETH\nEntry 2500\nTP 2400\nSL 2600",
            said(pair="ETH", entry=["2500", "2500"], take_profits=["2400"], stop="2600"),
        ),
        (
            "ETH LONG\nEntry 2500\nTP 2600\nSL 2550",
            said(pair="ETH", direction="LONG", entry=["2500", "2500"], take_profits=["2600"]),
        ),
    ],
)
def test_whole_signals_of_other_channels_are_read(text, expected):
    check(text, expected)
