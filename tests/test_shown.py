"""A trial says what subscribers of each place would have read, by the rules of `routes.toml`."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from bot.errors import UsageError
from bot.history.export import Export
from bot.history.replay import JsonReport, SummaryReport, Trial, rules_for
from bot.history.shown import PlaceReport, place_of
from bot.history.stand_ins import offline_routes
from bot.known_routes import with_settings
from bot.routes import Place, Routes, Source
from bot.rules.cleaning import Replacement
from bot.rules.presentation import Only, Presentation
from tests import wiring
from tests.people import ALICE, BOB, TARGET, says

ROOT = Path(__file__).parents[1]
CLEAN = Presentation(
    replace=(Replacement("our exchange", "Binance"),),
    strip_lines=("(?i)join our",),
    footer="by {author}, {source}",
    skip=("only for us",),
)
PLACES = (
    Place(TARGET, name="all", source="majors"),
    Place(TARGET, 5, name="clean", source="majors", presentation=CLEAN),
    Place(TARGET, 7, name="eth", source="majors", presentation=Presentation(only=Only(("ETH",)))),
)
ROUTES = Routes((Source("majors", places=PLACES),), named=True)


@pytest.fixture
def talk():
    signal = says(
        ALICE, "#idea BTC/USDT LONG\non our exchange\nJoin our VIP", number=5, author_name="Alice"
    )
    hidden = says(ALICE, "only for us", number=7, to=signal, hours=2)
    return [
        signal,
        says(BOB, "thanks", number=6, to=signal, hours=1),
        hidden,
        says(ALICE, "closed\x1b[2J", number=8, to=hidden, hours=3, author_name="Alice"),
    ]


async def tried(talk, report_of, routes=ROUTES, **more):
    console = Console(width=120, file=io.StringIO())
    await Trial(wiring.settings(), routes, **more).run(talk, report_of(console))
    return console.file.getvalue()


@pytest.mark.parametrize("restart_every", [None, 1])
async def test_a_place_is_printed_as_its_subscribers_would_read_it(talk, restart_every):
    """An answer to what is not shown hangs on the nearest that is."""
    text = await tried(
        talk, lambda console: PlaceReport(console, "clean"), restart_every=restart_every
    )
    assert text == (
        "── 5, 02-02 02:40\n#idea BTC/USDT LONG\non Binance\nby Alice, majors\n\n"
        "── 8, 02-02 05:40, answers 5\nclosed [2J\nby Alice, majors\n\n"
        "       2 shown in clean; not shown: 1 since it matches a pattern of `skip` there\n"
    )


async def test_the_summary_has_what_each_place_shows_and_why_not_the_rest(talk):
    lines = (await tried(talk, SummaryReport)).splitlines()
    assert lines[-3:-1] == [
        "       3 shown in all",
        "       2 shown in clean; not shown: 1 since it matches a pattern of `skip` there",
    ]
    assert lines[-1].startswith("       0 shown in eth; not shown: ")


async def test_the_object_for_programs_has_them_too(talk):
    out = io.StringIO()
    await Trial(wiring.settings(), ROUTES).run(talk, JsonReport(out))
    told = json.loads(out.getvalue())
    assert told["places"]["all"] == {"shown": 3, "hidden": {}}
    assert told["places"]["clean"]["shown"] == 2
    assert sum(told["places"]["eth"]["hidden"].values()) == 3


async def test_without_a_file_there_is_no_word_of_places(talk):
    chat = Export(ROOT / "data" / "sample_export.json").chat
    routes = rules_for(wiring.route(None, TARGET), chat)
    assert "shown in" not in await tried(talk, SummaryReport, routes=routes)


def test_a_place_that_there_is_not_is_named_with_the_nearest():
    assert place_of(ROUTES, "Clean") == "clean"
    with pytest.raises(UsageError, match="--place: there is no place of majors clan: did you mean"):
        place_of(ROUTES, "clan")


def test_a_shell_prints_a_place_of_the_example_of_the_documents(run, tmp_path):
    """By `replay`, with no setting but the file."""
    page = (ROOT / "docs" / "ROUTES.md").read_text("utf-8")
    (tmp_path / "routes.toml").write_text(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    sample = ROOT / "data" / "sample_export.json"
    options = ("--source", "majors", "--allowed-users", "everyone", "--place", "@our_channel")
    done = run("replay", sample, *options)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("      22 shown in @our_channel\n")


async def test_the_example_of_the_documents_is_tried_on_the_sample_with_no_name_looked_up(tmp_path):
    page = (ROOT / "docs" / "ROUTES.md").read_text("utf-8")
    file = tmp_path / "routes.toml"
    file.write_text(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    settings = wiring.settings(
        routes_file=file, data_dir=tmp_path / "data", source_allowed_users="everyone"
    )
    given = {"source_allowed_users": None}
    listed = offline_routes(settings, instead=given)
    export = Export(ROOT / "data" / "sample_export.json")
    rules = with_settings(rules_for(listed, export.chat, "majors"), settings, given)
    text = await tried(
        export.messages(),
        lambda console: PlaceReport(console, place_of(rules, "@our_channel")),
        routes=rules,
    )

    assert text.endswith("      22 shown in @our_channel\n")
    assert text.count("\n── ") + 1 >= 22
    friends = rules_for(listed, export.chat, "friends")
    assert [place.label for place in friends.places] == ["-1003456789012#12"]
