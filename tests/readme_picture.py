"""README's picture: a source beside a target, as the running bot has filled it.

`python -m tests.readme_picture docs/relay.png` plays the story on the loopback Telegram with the real program,
and has Chromium draw what each chat shows then.
"""

from __future__ import annotations

import asyncio
import html
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.loopback import LoopbackTelegram
from tests.stage import Stage

SIGNAL = "#idea BTC/USDT LONG\nEntry 64200-64500\nTP1 65500 · TP2 66800\nStop 63100"
SIZE = (1000, 580)
STYLE = """
body { margin: 0; padding: 18px; width: 964px; display: flex; gap: 24px; background: #f4f5f7;
       font: 15px/1.4 "DejaVu Sans", sans-serif; color: #1c2530; }
section { flex: 1; background: #dbe7ef; border-radius: 14px; padding: 14px; height: 516px; }
h1 { font-size: 15px; margin: 0 0 12px; } h1 small { font-weight: normal; color: #566; }
article { background: #fff; border-radius: 10px; padding: 7px 11px; margin-bottom: 9px; width: fit-content;
          max-width: 360px; white-space: pre-line; }
article.refused { opacity: .55; } b { color: #2b6aa8; font-size: 13px; display: block; white-space: nowrap; }
blockquote { margin: 2px 0 4px; padding-left: 8px; border-left: 3px solid #6aa5d8; color: #567; font-size: 13px; }
i { font-style: normal; float: right; margin-left: 10px; color: #a33; font-size: 12px; }
"""


async def played(directory):
    """The messages of the source and of the target, and the names of those who speak."""
    async with LoopbackTelegram() as telegram:
        stage = Stage(telegram, directory)
        async with stage.relay(SOURCE_ALLOWED_USERS=str(stage.alice.id)):
            signal = await stage.alice.sends(stage.group, SIGNAL)
            await stage.bob.sends(stage.group, "Took it, thanks!", reply_to=signal)
            first = await stage.alice.sends(stage.group, "TP1 hit, stop to entry", reply_to=signal)
            await stage.bob.sends(stage.group, "Close everything now!!!", reply_to=first)
            await stage.alice.sends(stage.group, "Closed at 66800, +4 %", reply_to=signal)
            await stage.shows(SIGNAL, "TP1 hit, stop to entry", "Closed at 66800, +4 %")
        names = {stage.alice.id: "Alice, author", stage.bob.id: "Bob, reader"}
        return stage.posted(stage.group), stage.posted(), names


def chat(title, about, messages, names, *, authors=()):
    texts = {message.id: message.text for message in messages}
    return "".join(
        [
            f"<section><h1>{title} <small>{about}</small></h1>",
            *(_bubble(message, texts, names, authors) for message in messages),
            "</section>",
        ]
    )


def _bubble(message, texts, names, authors):
    said = html.escape(message.text)
    answered = texts.get(message.reply_to, "").splitlines()[:1]
    quote = f"<blockquote>{html.escape(answered[0])}</blockquote>" if answered else ""
    name = names.get(message.sender, "")
    refused = bool(authors) and message.sender not in authors
    mark = "<i>not relayed</i>" if refused else ""
    kind = ' class="refused"' if refused else ""
    return f"<article{kind}>{mark}<b>{name}</b>{quote}{said}</article>"


def drawn(source, target, names):
    authors = [number for number, name in names.items() if "author" in name]
    return (
        f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><body>'
        + chat("Signals", "the source: everybody talks", source, names, authors=authors)
        + chat("Target", "signals and their authors' updates", target, {})
    )


def picture(page, file):
    """Raises `FileNotFoundError` without Chromium."""
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if browser is None:
        raise FileNotFoundError("no Chromium here (on Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as directory:
        html_file = Path(directory, "page.html")
        html_file.write_text(page, encoding="utf-8")
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={directory}/profile", f"--window-size={SIZE[0]},{SIZE[1]}",
            f"--screenshot={Path(file).resolve()}", html_file.as_uri(),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=120)


def main(file):
    with tempfile.TemporaryDirectory() as directory:
        picture(drawn(*asyncio.run(played(Path(directory)))), file)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/relay.png")
