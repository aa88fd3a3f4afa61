"""Events as a file is told of them, and the lines that it holds."""

from __future__ import annotations

import json

from bot.delivery.events import Event
from bot.routes import sink_id

FILE = sink_id("jsonl main")


def event(number, text="TP1"):
    return Event(f"msg_{number}", "update.created", "2026-02-02T02:40:00Z", False, {"text": text})


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
