"""Whole signals as channels write them, a message of each family of formats.

What each kind of writing means is tested on its own, see `test_signal_formats`; here it is seen that all of a message
is read, together.
"""

from __future__ import annotations

import pytest

from bot.rules.markers import parse
from bot.signal_json import fields_object


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "#TIA\n🔴SHORT\nВход: 5.1-5.2",
            {"pair": "TIA", "direction": "SHORT", "entry": ["5.1", "5.2"]},
        ),
        (
            "sol_SHORT",
            {"pair": "SOL", "direction": "SHORT"},
        ),
        (
            "XRP SHORT",
            {"pair": "XRP", "direction": "SHORT"},
        ),
        (
            "eth_long 3500",
            {"pair": "ETH", "direction": "LONG", "entry": ["3500", "3500"]},
        ),
        (
            "Шорт с уровня 0.912 по BTC/USDT\nстоп 0.95",
            {"pair": "BTC/USDT", "direction": "SHORT", "entry": ["0.912", "0.912"], "stop": "0.95"},
        ),
        (
            "🔴 SHORT\n💲 1000PEPEUSDT\n📈 Entry : 0.01188 - 0.01192\n🎯 Target 1 - 0.0116\n🛑 Stop Loss : 0.0124",
            {
                "pair": "1000PEPE/USDT",
                "direction": "SHORT",
                "entry": ["0.01188", "0.01192"],
                "take_profits": ["0.0116"],
                "stop": "0.0124",
            },
        ),
        (
            "#LDO/USDT Торговая идея на LDO/USDT 1Ч ЛОНГ📈\n\nСнял ликвидность снизу\n\nВход: 2.105 - 2.054\nСтоп: 1.998\nТейк 1: 2.15\nТейк 2: 2.21\nТейк 3: 2.3",
            {
                "pair": "LDO/USDT",
                "direction": "LONG",
                "entry": ["2.054", "2.105"],
                "take_profits": ["2.15", "2.21", "2.3"],
                "stop": "1.998",
                "timeframe": "1H",
            },
        ),
        (
            "[ EURUSD ] ❗️SELL❗️\n‼️ [entry point] : [ 1.1250 ]\n♨️ [stop loss] : [ 1.1300 ]\n✅ [take profit 1] : [ 1.1200 ]\n✅ [take profit 2] : [ 1.1150 ]",
            {
                "pair": "EUR/USD",
                "direction": "SHORT",
                "entry": ["1.1250", "1.1250"],
                "take_profits": ["1.1200", "1.1150"],
                "stop": "1.1300",
            },
        ),
        (
            "🚩SIGNAL BUY GBPUSD EN 1.2740\n#TP1 1.2790 +50\n#TP2 1.2840 +100\n#SL 1.2690 -50\n#🔘RISK (2%)",
            {
                "pair": "GBP/USD",
                "direction": "LONG",
                "entry": ["1.2740", "1.2740"],
                "take_profits": ["1.2790", "1.2840"],
                "stop": "1.2690",
                "risk": "2",
            },
        ),
        (
            "NZDUSD Buy Stop H4\nAt : 0.7250\nSL : 0.7200 - Risk 50 Pip\nTP1 : 0.7300 - Reward 50 pip",
            {
                "pair": "NZD/USD",
                "direction": "LONG",
                "entry": ["0.7250", "0.7250"],
                "take_profits": ["0.7300"],
                "stop": "0.7200",
                "timeframe": "H4",
            },
        ),
        (
            "Currency Pair EUR/JPY\nLong from 131.20\nTarget 133.00\nStop/Loss 130.20",
            {
                "pair": "EUR/JPY",
                "direction": "LONG",
                "entry": ["131.20", "131.20"],
                "take_profits": ["133.00"],
                "stop": "130.20",
            },
        ),
        (
            "$$$ NEW TRADE $$$\nPair @ Euro / US Dollar (eurusd)\nDirection @ Bullish\nEntry @ 1.18500 (market price)\nStop loss @ 1.17900\n1st target @ 1.19100\n2nd target @ 1.20000",
            {
                "pair": "EUR/USD",
                "direction": "LONG",
                "entry": ["1.18500", "1.18500"],
                "take_profits": ["1.19100", "1.20000"],
                "stop": "1.17900",
            },
        ),
        (
            "Buy limit Gbpusd \nat 1.3030 & 1.2980\nSL 1.2900 Tp leave open",
            {
                "pair": "GBP/USD",
                "direction": "LONG",
                "entry": ["1.2980", "1.3030"],
                "stop": "1.2900",
            },
        ),
        (
            "USDJPY Buy @109.650,109.300\nTP:110.500,111.000\nSL:108.900",
            {
                "pair": "USD/JPY",
                "direction": "LONG",
                "entry": ["109.300", "109.650"],
                "take_profits": ["110.500", "111.000"],
                "stop": "108.900",
            },
        ),
        (
            "GOLD SELL SETUP\n\nGold Sell Zone 4538 - 4543\n\nSL: 4548\n\nTP1: 4533\nTP2: 4528\nTP3: Hold",
            {
                "pair": "XAU/USD",
                "direction": "SHORT",
                "entry": ["4538", "4543"],
                "take_profits": ["4533", "4528"],
                "stop": "4548",
            },
        ),
        (
            "XAUUSDBUY 4626\nSL 4620\nTP 4632",
            {
                "pair": "XAU/USD",
                "direction": "LONG",
                "entry": ["4626", "4626"],
                "take_profits": ["4632"],
                "stop": "4620",
            },
        ),
        (
            "TRADING SIGNAL ALERT\n\n📝PAIR: ENA/USDT (MEDIUM RISK)🟡\n\nTYPE: SCALP ⚡\nSIZE: 2-3%\nSIDE: LONG📈\n\n📍ENTRY: 0.5664\n✖️SL: 0.5483\n\n💰TAKE PROFIT TARGETS:\nTP1: 0.5704\nTP2: 0.5862",
            {
                "pair": "ENA/USDT",
                "direction": "LONG",
                "entry": ["0.5664", "0.5664"],
                "take_profits": ["0.5704", "0.5862"],
                "stop": "0.5483",
            },
        ),
        (
            "#ETH/USDT\nپوزیشن لانگ باز کنید\nدر نقطه 1850\nتارگت: 1900 - 1950\nاستاپ: 1800\nلوریج: 5",
            {
                "pair": "ETH/USDT",
                "direction": "LONG",
                "entry": ["1850", "1850"],
                "take_profits": ["1900", "1950"],
                "stop": "1800",
                "leverage": "5",
            },
        ),
        (
            "Sell Gold 4605.5 – 4608\nStop Loss 4612\nTP1 4600\nTP2 4598\nTP3 Open (4594 / 4592)",
            {
                "pair": "XAU/USD",
                "direction": "SHORT",
                "entry": ["4605.5", "4608"],
                "take_profits": ["4600", "4598"],
                "stop": "4612",
            },
        ),
        (
            "NAS100 SELL 15440\nTP 15400\nTP 15340\nSL 15500",
            {
                "pair": "NAS100",
                "direction": "SHORT",
                "entry": ["15440", "15440"],
                "take_profits": ["15400", "15340"],
                "stop": "15500",
            },
        ),
        (
            "XAGUSD SELL 23.16\nTP 22.90\nSL OPEN",
            {
                "pair": "XAG/USD",
                "direction": "SHORT",
                "entry": ["23.16", "23.16"],
                "take_profits": ["22.90"],
            },
        ),
        (
            "🔴 Exit Signal\n\n📋 Strategy: Drawdown DCA Long\n\n🏷️ Side: SELL\n\n💱 Symbol: BTCUSD\n\n💰 Price: 66848.64",
            {"pair": "BTC/USD", "direction": "SHORT"},
        ),
        (
            "GOLD BUY NOW\nBUY @ 3326 - 3323\nSL ● 3320\nTP ● 3330\nTP 3336",
            {
                "pair": "XAU/USD",
                "direction": "LONG",
                "entry": ["3323", "3326"],
                "take_profits": ["3330", "3336"],
                "stop": "3320",
            },
        ),
        (
            "Shorting #ETHUSDT Here\n\nShort (3x - 5x)\n\nEntry: $2500 - $2550\n\nTargets: $2400, $2300, $2200\n\nStoploss: $2650\n\nReason: weak trend",
            {
                "pair": "ETH/USDT",
                "direction": "SHORT",
                "entry": ["2500", "2550"],
                "take_profits": ["2400", "2300", "2200"],
                "stop": "2650",
                "leverage": "5",
            },
        ),
        (
            "🔴 Short\nName: 1INCH/USDT\nMargin mode: Isolated (20.0X)\n\n↪️ Entry price(USDT):\n0.4619\n\nTargets(USDT):\n1) 0.4565\n2) 0.4511\n3) 🔝 unlimited",
            {
                "pair": "1INCH/USDT",
                "direction": "SHORT",
                "entry": ["0.4619", "0.4619"],
                "take_profits": ["0.4565", "0.4511"],
                "leverage": "20",
            },
        ),
        (
            "🎯 CORNIX SIGNAL:\nLINK/USDT\nLong\nLeverage: 15x\n\nEntry: 14.060\nTarget 1: 14.5\nTarget 2: 15.0\n\nStop Loss: 13.5\n\nIsolated Margin",
            {
                "pair": "LINK/USDT",
                "direction": "LONG",
                "entry": ["14.060", "14.060"],
                "take_profits": ["14.5", "15.0"],
                "stop": "13.5",
                "leverage": "15",
            },
        ),
        (
            "BUY XAUUSD 5m\n\nEntry | 4563 - 4560\n\nTP | 4569 - 4575 - 4580\nSL | 4555\n\n2026-03-22-19:28",
            {
                "pair": "XAU/USD",
                "direction": "LONG",
                "entry": ["4560", "4563"],
                "take_profits": ["4569", "4575", "4580"],
                "stop": "4555",
                "timeframe": "5M",
            },
        ),
        (
            "#ADAUSDT\n🟢BINANCE, 2026-2-27, T7:0:0 UTC\n\nTicker: ADAUSDT,  15m\n✔️Cardano\n\nEntry: 0.62706\nTargets: 0.63 - 0.635\nStop: 0.5% - 0.6239,  1% - 0.6208\n\nExpected profit: 0.5 - 1.3",
            {
                "pair": "ADA/USDT",
                "direction": "LONG",
                "entry": ["0.62706", "0.62706"],
                "take_profits": ["0.63", "0.635"],
                "stop": "0.6239",
                "timeframe": "15M",
            },
        ),
        (
            "CTK  / USDT\n\nSHORT  : 1.38\n\nLeverage X5 X10\n\nTarget :\n\nTARGET 1  : 1.33$\nTARGET 2  : 1.29$\n\nSTOP : 1.48$",
            {
                "pair": "CTK/USDT",
                "direction": "SHORT",
                "entry": ["1.38", "1.38"],
                "take_profits": ["1.33", "1.29"],
                "stop": "1.48",
                "leverage": "10",
            },
        ),
        (
            "#ETH #ETHUSD (Scalp LONG)\n\nEntry 1650-1600\n\nTargets 1710 - 1760 - 1800\n\nStop Loss 1550",
            {
                "pair": "ETH/USD",
                "direction": "LONG",
                "entry": ["1600", "1650"],
                "take_profits": ["1710", "1760", "1800"],
                "stop": "1550",
            },
        ),
        (
            "Long #xbt at 6640-6600\n\nStoploss below 6500\n\nTARGETS 6780-6900-7000",
            {
                "pair": "XBT",
                "direction": "LONG",
                "entry": ["6600", "6640"],
                "take_profits": ["6780", "6900", "7000"],
                "stop": "6500",
            },
        ),
        (
            "🥇 #WIFUSDT 📤 Short 💹 Sell: 0.8412 - 0.8539 🧿 Target: 0.8300 - 0.8206 - 0.8100 🧨 StopLoss: 0.8758 🔘 Leverage: 10-20x",
            {
                "pair": "WIF/USDT",
                "direction": "SHORT",
                "entry": ["0.8412", "0.8539"],
                "take_profits": ["0.8300", "0.8206", "0.8100"],
                "stop": "0.8758",
                "leverage": "20",
            },
        ),
        (
            "🌟 #SUI/USDT \n\n🟢 Long \n\n📊 EXCHANGE -BYBIT/BINGX/MEXC\n\n🧑 Leverage: 5- 10X 🔥\n\n👉 Entry = 1.65 - 1.60\n\nTARGET-  1.70 - 1.78 - 1.85 - 2.0+\n\n❌STOP LOSS - 1.52",
            {
                "pair": "SUI/USDT",
                "direction": "LONG",
                "entry": ["1.60", "1.65"],
                "take_profits": ["1.70", "1.78", "1.85", "2.0"],
                "stop": "1.52",
                "leverage": "10",
            },
        ),
        (
            "silver sell - 50.54\nSL 50.90\nTP 50.10\nTP 49.80",
            {
                "pair": "XAG/USD",
                "direction": "SHORT",
                "entry": ["50.54", "50.54"],
                "take_profits": ["50.10", "49.80"],
                "stop": "50.90",
            },
        ),
        (
            "SILVER SELL FROM CMP 17.31 SL = 17.57 TP = 16.70",
            {
                "pair": "XAG/USD",
                "direction": "SHORT",
                "entry": ["17.31", "17.31"],
                "take_profits": ["16.70"],
                "stop": "17.57",
            },
        ),
        (
            "Sell EURUSD\n1.1275\nSl 1.1320\nTp 1.1200",
            {
                "pair": "EUR/USD",
                "direction": "SHORT",
                "entry": ["1.1275", "1.1275"],
                "take_profits": ["1.1200"],
                "stop": "1.1320",
            },
        ),
        (
            "📍SIGNAL ID: #1234📍\nCOIN: $BTC/USDT (3-5x)\nDirection: LONG📈\n➖➖➖➖➖➖➖\nENTRY: 42100 - 42850\n\nTARGETS: 43200 - 43900 - 45000 - 46500\nSTOP LOSS: 41200",
            {
                "pair": "BTC/USDT",
                "direction": "LONG",
                "entry": ["42100", "42850"],
                "take_profits": ["43200", "43900", "45000", "46500"],
                "stop": "41200",
                "leverage": "5",
            },
        ),
        (
            "⚡️⚡️ #ETH/USDT ⚡️⚡️\nExchanges: Binance Futures\nSignal Type: Regular (Long)\nLeverage: Isolated (5.0X)\n\nEntry Targets:\n1) 2480.5\n\nTake-Profit Targets:\n1) 2510.0 - 20%\n2) 2535.0 - 20%\n3) 2560.0 - 60%\n\nStop Targets:\n1) 2400.0",
            {
                "pair": "ETH/USDT",
                "direction": "LONG",
                "entry": ["2480.5", "2480.5"],
                "take_profits": ["2510.0", "2535.0", "2560.0"],
                "stop": "2400.0",
                "leverage": "5",
            },
        ),
        (
            "#идея SOL/USDT ШОРТ 1ч\nВход: по рынку 148.2\nУсреднение: 152\nСтоп: 155.5\nЦели: 144 / 140 / 133\nПлечо: х10\nРиск на сделку: 1.5%",
            {
                "pair": "SOL/USDT",
                "direction": "SHORT",
                "entry": ["148.2", "148.2"],
                "take_profits": ["144", "140", "133"],
                "stop": "155.5",
                "leverage": "10",
                "risk": "1.5",
                "timeframe": "1H",
            },
        ),
        (
            "$LINK LONG\nentry 14.20$–14.50$\nsl 13.8$\ntp 14.9$ / 15.6$ / 17$\nlev 10x",
            {
                "pair": "LINK",
                "direction": "LONG",
                "entry": ["14.20", "14.50"],
                "take_profits": ["14.9", "15.6", "17"],
                "stop": "13.8",
                "leverage": "10",
            },
        ),
        (
            "EUR/USD BUY LIMIT @ 1.0850\nSL: 1.0820 (30 pips)\nTP1: 1.0880 (30 pips)\nTP2: 1.0910 (60 pips)",
            {
                "pair": "EUR/USD",
                "direction": "LONG",
                "entry": ["1.0850", "1.0850"],
                "take_profits": ["1.0880", "1.0910"],
                "stop": "1.0820",
            },
        ),
        (
            "Pair: NAS100\nType: Sell stop\nEntry: 17,850.5\nSL: 17,900\nTP: 17,750 | 17,650",
            {
                "pair": "NAS100",
                "direction": "SHORT",
                "entry": ["17850.5", "17850.5"],
                "take_profits": ["17750", "17650"],
                "stop": "17900",
            },
        ),
        (
            "🔥 ONDO/USDT 🔥\nШорт с 0.9120-0.9250\nTP1 0.8990\nTP2 0.8850\nTP3 0.8610\nСтоп 0.9450\nПлечо 5-10х",
            {
                "pair": "ONDO/USDT",
                "direction": "SHORT",
                "entry": ["0.9120", "0.9250"],
                "take_profits": ["0.8990", "0.8850", "0.8610"],
                "stop": "0.9450",
                "leverage": "10",
            },
        ),
        (
            "XAUUSD SELL 2345-2348\nTP1: 2342\nTP2: 2339\nTP3: 2330\nSL: 2352\nUSE PROPER LOT SIZE",
            {
                "pair": "XAU/USD",
                "direction": "SHORT",
                "entry": ["2345", "2348"],
                "take_profits": ["2342", "2339", "2330"],
                "stop": "2352",
            },
        ),
        (
            "Coin: #AVAX/USDT\nPosition: LONG\nLeverage: Cross20x\nEntries: 36.5, 35.8\nTargets: 🎯 37.2, 38, 39.5, 42\nStop Loss: 34.9",
            {
                "pair": "AVAX/USDT",
                "direction": "LONG",
                "entry": ["35.8", "36.5"],
                "take_profits": ["37.2", "38", "39.5", "42"],
                "stop": "34.9",
                "leverage": "20",
            },
        ),
        (
            "#BTCUSDT.P | SHORT | 15m\nEntry Price: 67,250.00\nStop Loss: 67,900.00\nTP 1: 66,600.00\nTP 2: 66,000.00\nR:R 1:2",
            {
                "pair": "BTC/USDT",
                "direction": "SHORT",
                "entry": ["67250.00", "67250.00"],
                "take_profits": ["66600.00", "66000.00"],
                "stop": "67900.00",
                "timeframe": "15M",
            },
        ),
        (
            "лонг эфир от 3200\nстоп 3120\nцели 3300, 3400, 3550\nриск 1%",
            {
                "direction": "LONG",
                "entry": ["3200", "3200"],
                "take_profits": ["3300", "3400", "3550"],
                "stop": "3120",
                "risk": "1",
            },
        ),
        (
            "BUY GOLD @1935/1932\n\nSL 1928\nTP 1938\nTP 1942\nTP OPEN",
            {
                "pair": "XAU/USD",
                "direction": "LONG",
                "entry": ["1932", "1935"],
                "take_profits": ["1938", "1942"],
                "stop": "1928",
            },
        ),
        (
            "🟢 BUY #TONUSDT\n💵 Entry: 5.10-5.25\n🎯 TP: 5.40, 5.60, 5.95\n🛑 SL: 4.95\n⚙️ Leverage: x5",
            {
                "pair": "TON/USDT",
                "direction": "LONG",
                "entry": ["5.10", "5.25"],
                "take_profits": ["5.40", "5.60", "5.95"],
                "stop": "4.95",
                "leverage": "5",
            },
        ),
        (
            "#GALA/USDT SHORT\nЗона входа: 0.0245 – 0.0251\nТейк-профиты:\n1️⃣ 0.0238\n2️⃣ 0.0230\n3️⃣ 0.0215\nСтоп-лосс: 0.0262\nПлечо: 20Х (кросс)",
            {
                "pair": "GALA/USDT",
                "direction": "SHORT",
                "entry": ["0.0245", "0.0251"],
                "take_profits": ["0.0238", "0.0230", "0.0215"],
                "stop": "0.0262",
                "leverage": "20",
            },
        ),
        (
            "USDCHF SELL 0.8845\nstop loss 0.8880\ntake profit 0.8780",
            {
                "pair": "USD/CHF",
                "direction": "SHORT",
                "entry": ["0.8845", "0.8845"],
                "take_profits": ["0.8780"],
                "stop": "0.8880",
            },
        ),
        (
            "GBP/JPY Buy Now 188.450\nTP 188.950 (50pips)\nSL 187.950 (50pips)",
            {
                "pair": "GBP/JPY",
                "direction": "LONG",
                "entry": ["188.450", "188.450"],
                "take_profits": ["188.950"],
                "stop": "187.950",
            },
        ),
        (
            "Long BTC \nEntry 1: 61 200\nEntry 2: 60 500\nTP: 62 000 - 63 500 - 65 000\nSL: 59 800",
            {
                "pair": "BTC",
                "direction": "LONG",
                "entry": ["60500", "61200"],
                "take_profits": ["62000", "63500", "65000"],
                "stop": "59800",
            },
        ),
        (
            "#OP Long\nВход 1.85\nСтоп под 1.78\nТейки 1.92 | 2.00 | 2.15",
            {
                "pair": "OP",
                "direction": "LONG",
                "entry": ["1.85", "1.85"],
                "take_profits": ["1.92", "2.00", "2.15"],
                "stop": "1.78",
            },
        ),
        (
            "SIGNAL: BUY\nSYMBOL: EURUSD\nPRICE: 1.08450\nS/L: 1.08150\nT/P: 1.09050",
            {
                "pair": "EUR/USD",
                "direction": "LONG",
                "entry": ["1.08450", "1.08450"],
                "take_profits": ["1.09050"],
                "stop": "1.08150",
            },
        ),
        (
            "US30 SELL 38950\nSL 39020\nTP1 38900 TP2 38850 TP3 38700",
            {
                "pair": "US30",
                "direction": "SHORT",
                "entry": ["38950", "38950"],
                "take_profits": ["38900", "38850", "38700"],
                "stop": "39020",
            },
        ),
        (
            "Идея: покупка Сбербанк SBER\nВход 271-272.5\nЦель 280\nСтоп 268",
            {
                "direction": "LONG",
                "entry": ["271", "272.5"],
                "take_profits": ["280"],
                "stop": "268",
            },
        ),
        (
            "🚨 NEW SIGNAL 🚨\n🪙 Coin: PEPE/USDT\n📊 Direction: Short 🔴\n⚡ Leverage: 25x\n🎯 Entry: 0.00001120\n✅ TP1: 0.00001090\n✅ TP2: 0.00001050\n❌ SL: 0.00001165",
            {
                "pair": "PEPE/USDT",
                "direction": "SHORT",
                "entry": ["0.00001120", "0.00001120"],
                "take_profits": ["0.00001090", "0.00001050"],
                "stop": "0.00001165",
                "leverage": "25",
            },
        ),
        (
            "BTC/USD 4h  long scalp\nbuy zone 60k-60.5k\nsl 59k\ntp1 62k tp2 64k tp3 70k",
            {
                "pair": "BTC/USD",
                "direction": "LONG",
                "entry": ["60000", "60500.0"],
                "take_profits": ["62000", "64000", "70000"],
                "stop": "59000",
                "timeframe": "4H",
            },
        ),
        (
            "AUDUSD | SELL STOP | 0.6550 | SL 0.6580 | TP 0.6490",
            {
                "pair": "AUD/USD",
                "direction": "SHORT",
                "entry": ["0.6550", "0.6550"],
                "take_profits": ["0.6490"],
                "stop": "0.6580",
            },
        ),
        (
            "#XRP\nЛонг по 0.5230\nТП1 - 0.5350\nТП2 - 0.5480\nСЛ - 0.5110\nПлечо 10",
            {
                "pair": "XRP",
                "direction": "LONG",
                "entry": ["0.5230", "0.5230"],
                "take_profits": ["0.5350", "0.5480"],
                "stop": "0.5110",
                "leverage": "10",
            },
        ),
        (
            "Entry Price : 0.3456\nPair : ADA/USDT\nSide : Buy\nTake Profit 1 : 0.3550\nTake Profit 2 : 0.3650\nStop Loss : 0.3350\nLeverage : 10X Cross",
            {
                "pair": "ADA/USDT",
                "direction": "LONG",
                "entry": ["0.3456", "0.3456"],
                "take_profits": ["0.3550", "0.3650"],
                "stop": "0.3350",
                "leverage": "10",
            },
        ),
        (
            "Sell Nasdaq 17500\nSl 17560\nTp 17400",
            {
                "pair": "NASDAQ",
                "direction": "SHORT",
                "entry": ["17500", "17500"],
                "take_profits": ["17400"],
                "stop": "17560",
            },
        ),
        (
            "📉 Шорт SUI/USDT (15м)\nВход: от 1.32 до 1.35\nСЛ: 1.39\nТП: 1.28; 1.24; 1.18\nРМ: 1%",
            {
                "pair": "SUI/USDT",
                "direction": "SHORT",
                "entry": ["1.32", "1.35"],
                "take_profits": ["1.28", "1.24", "1.18"],
                "stop": "1.39",
                "risk": "1",
                "timeframe": "15M",
            },
        ),
        (
            "EURUSDSELL 1.1050\nSL 1.1100\nTP 1.1000",
            {
                "pair": "EUR/USD",
                "direction": "SHORT",
                "entry": ["1.1050", "1.1050"],
                "take_profits": ["1.1000"],
                "stop": "1.1100",
            },
        ),
        (
            "NZD/USD Sell limit H1\nAt : 0.7250\nSL : 0.7300",
            {
                "pair": "NZD/USD",
                "direction": "SHORT",
                "entry": ["0.7250", "0.7250"],
                "stop": "0.7300",
                "timeframe": "H1",
            },
        ),
        (
            "BTCUSDTLONG 65000",
            {"pair": "BTC/USDT", "direction": "LONG", "entry": ["65000", "65000"]},
        ),
        (
            "XRP\nLONG 0.5",
            {"pair": "XRP", "direction": "LONG", "entry": ["0.5", "0.5"]},
        ),
        (
            "Шорт с 0.9120-0.9250\nTP1 0.8990",
            {"direction": "SHORT", "entry": ["0.9120", "0.9250"], "take_profits": ["0.8990"]},
        ),
        (
            "Шорт ETH/USDT\nРМ 1%",
            {"pair": "ETH/USDT", "direction": "SHORT", "risk": "1"},
        ),
    ],
)
def test_a_signal_is_read_as_a_reader_does(text, expected):
    assert fields_object(parse(text)) == expected
