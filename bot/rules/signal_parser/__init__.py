"""What a trading message says: text in, values out. Never raises, whatever the text; takes linear time.

The grammar, one module each, in the order in which a text goes through them:

    text     what a reader sees: no invisible characters, plain letters for bold ones, single spaces
    tokens   words, numbers with what stands at them ("64k", "2%", "50 pips", "10x", "15m", "1)", "12:30"), marks
    pair     "BTC/USDT", "EURUSD", "GOLD", "US30", "$ONDO"; also which tokens are a part of one
    labels   a word or phrase of `words`, such as "stop targets", opens a field; its body goes up to the next label
    body     the prices that open a body: `[gap] [index] price {separator [index] price}`, over lines if it is a list
    doubt    what contradicts the rest is left out: a wrong value is worse than a missing one
    reader   puts the fields together
    events   what an update tells of its signal

Where people write the same thing differently:

- "64,200" is 64200 beside a dollar sign, or in a message whose every comma groups three digits; otherwise, and for
  a pair of two currencies, the comma is a decimal mark. A single point always is one. Marks beside another kind of
  mark, or repeated, group thousands ("1,234.56"), and so do spaces.
- "64k" and both ends of "64-65k" are thousands.
- "1M" is one minute, there are no months; "Н" (Cyrillic) is a week. "H4" stays as MetaTrader writes it.
- Of several entries the lowest and the highest count; of several leverages the highest; of several stops the first.
- A distance ("50 pips", "2 ATR", "-70") is no price. A per cent is a target only where all targets are per cents.
"""
