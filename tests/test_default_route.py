"""The settings of `.env` alone: what is posted is byte for byte what the version before posted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.default_route import posted

BEFORE = Path(__file__).parent / "data" / "default_route_before_rules.json"


@pytest.mark.long
async def test_without_a_file_of_routes_each_post_is_what_it_was(tmp_path):
    """Texts, formatting, media, buttons, quotes, threads, edits, and the ids under which they are sent."""
    before = json.loads(BEFORE.read_text("utf-8"))

    assert len(before["shown"]) > 85  # long ones have several posts
    assert await posted(tmp_path) == before
