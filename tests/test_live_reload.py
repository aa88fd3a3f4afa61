"""`routes.toml` read again by the running program."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from tests.routes_written import WITHOUT, source
from tests.telephone import Telephone, words

ENV = dict(WITHOUT)


@pytest.fixture
def write(stage):
    """Write the file, with the last source's last place having more to say."""

    def write(*sources, more=""):
        (stage.directory / "routes.toml").write_text("".join(sources) + more, "utf-8")

    return write


async def reload(stage, expected=0):
    """Its output, and the exit code that is expected."""
    program = await stage.launch("reload", **ENV)
    assert await program.wait(timeout=60) == expected, program.output
    return program.output


async def status(stage):
    program = await stage.launch("status", "--json", LOG_LEVEL="ERROR", **ENV)
    assert await program.wait(timeout=60) == 0, program.output
    return json.loads(program.stdout)


async def test_what_is_new_and_what_is_other_is_taken_over_by_the_running_bot(stage, write):
    """A place, a source that begins now, a footer; what was posted before is answered where it stands."""
    other = stage.telegram.supergroup("Other", members=[stage.alice], admins=[stage.bot])
    place = stage.telegram.channel("Place", admins=[stage.bot])
    write(source("one", stage.group.id, stage.target.id))
    async with stage.relay(**ENV) as program:
        first = await stage.alice.sends(stage.group, "#idea 1")
        await stage.shows("#idea 1")
        await stage.alice.sends(other, "#idea before it was a source")
        footer = 'footer = "by {source}"\n'
        write(
            source("one", stage.group.id, stage.target.id, place.id),
            footer,
            source("two", other.id, place.id),
        )
        said = await reload(stage)
        assert "source two is new" in said
        assert f"place {place.id} of one is new" in said
        await stage.alice.sends(stage.group, "TP1", reply_to=first)
        await stage.shows("TP1\nby one", where=place)
        second = await stage.alice.sends(other, "#idea 2")
        await stage.shows("TP1\nby one", "#idea 2", where=place)
        signal, update = await stage.shows("#idea 1", "TP1")
        assert update.reply_to == signal.id

        write(source("uno", stage.group.id, stage.target.id), footer)
        said = await reload(stage)
        assert "source one is called uno" in said
        assert "source two is heard no more" in said
        await stage.alice.sends(other, "#idea of nobody")
        await stage.alice.sends(stage.group, "#idea 3")
        await stage.shows("#idea 1", "TP1", "#idea 3\nby uno")
        await stage.shows("TP1\nby one", "#idea 2", where=place)

        write(source("uno", stage.group.id, stage.target.id), source("two", other.id, place.id))
        await reload(stage)
        await stage.alice.sends(other, "and closed", reply_to=second)
        *_, signal, update = await stage.shows("TP1\nby one", "#idea 2", "and closed", where=place)
        assert update.reply_to == signal.id
        assert program.output.count('"started"') == 1


async def test_a_place_that_is_taken_out_keeps_what_waits_for_it_until_it_is_back(stage, write):
    place = stage.telegram.channel("Place", admins=[stage.bot])
    both = source("one", stage.group.id, stage.target.id, place.id)
    write(both)
    async with stage.relay(**ENV) as program:
        await stage.alice.sends(stage.group, "#idea 0")
        await stage.shows("#idea 0", where=place)
        await (await stage.launch("pause", **ENV)).wait()
        await program.wait_output("order heard")
        for number in (1, 2):
            await stage.alice.sends(stage.group, f"#idea {number}")
        write(source("one", stage.group.id, stage.target.id))
        assert "waits for its return" in await reload(stage)
        await (await stage.launch("resume", **ENV)).wait()
        await stage.alice.sends(stage.group, "#idea 3")
        await stage.shows("#idea 0", "#idea 1", "#idea 2", "#idea 3")
        assert [each.text for each in stage.posted(place)] == ["#idea 0"]
        waits = [each for each in (await status(stage))["places"] if not each["listed"]]
        assert [each["pending"] for each in waits] == [2]

        write(both)
        await reload(stage)
        await stage.alice.sends(stage.group, "#idea 4")
        await stage.shows("#idea 0", "#idea 1", "#idea 2", "#idea 4", where=place)


async def test_a_file_that_is_wrong_changes_nothing_and_says_why(stage, write):
    """To whoever gives the order, in the log, in `status`, and to the operators."""
    admin = {"ADMIN_USERS": str(stage.carol.id)}
    carol = Telephone(stage, stage.carol)
    write(source("one", stage.group.id, stage.target.id))
    async with stage.relay(**ENV, **admin) as program:
        write(source("one", stage.group.id, stage.target.id), 'fotter = "x"\n')
        said = await reload(stage, expected=2)
        assert "routes.toml, line 8: fotter is no key of a place: did you mean footer?" in said
        assert "routes are as they were" not in program.output  # nobody troubled it

        program.signal(signal.SIGHUP)
        await program.wait_output("routes are as they were")
        write(source("one", stage.group.bare_id, stage.target.id))
        said = await reload(stage, expected=2)
        assert f"routes.toml, line 3: chat: {stage.group.bare_id} is not known" in said
        assert f"did you mean {stage.group.id}" in said

        write(source("one", stage.group.id, stage.target.id), 'fotter = "x"\n')
        program.signal(signal.SIGHUP)
        await program.wait_output("routes are as they were", count=3)
        found = (await status(stage))["routes_read_again"]
        assert not found["taken"]
        assert "line 8: fotter" in found["said"][0]
        assert "fotter" in (await carol.answer(0)).text
        assert "line 8: fotter" in words(await carol.says("/reload"))
        write(source("one", stage.group.id, stage.target.id), 'footer = "x"\n')
        said = words(await carol.says("/reload"))
        assert said == f"place {stage.target.id} of one: footer changed"
        await stage.alice.sends(stage.group, "#idea 1")
        await stage.shows("#idea 1\nx")


async def test_without_a_file_sighup_says_so_and_ends_nobody(stage):
    async with stage.relay() as program:
        program.signal(signal.SIGHUP)
        await program.wait_output("nothing to read again")
        await stage.alice.sends(stage.group, "#idea 1")
        await stage.shows("#idea 1")


@pytest.mark.heavy
async def test_reloads_amid_a_stream_lose_and_double_nothing(stage, write):
    """Albums among it; every file says something else of where it goes and what is shown."""
    other = stage.telegram.supergroup("Other", members=[stage.alice], admins=[stage.bot])
    place = stage.telegram.channel("Place", admins=[stage.bot])
    one = source("one", stage.group.id, stage.target.id)
    two = source("two", other.id, place.id)
    files = [
        (one, two),
        (one, two, "silent = true\n"),
        (two.replace("two", "zwei"), one),
        (one, "silent = true\n", two),
    ]
    said = {stage.group: [], other: []}
    write(*files[0])
    async with stage.relay(**ENV) as program:

        async def talk():
            for number in range(60):
                for chat, texts in said.items():
                    texts.append(f"#idea {number}")
                    if number % 5:
                        await stage.alice.sends(chat, texts[-1])
                    else:
                        photos = [stage.telegram.photo() for _ in range(3)]
                        await stage.alice.sends_album(chat, photos, caption=texts[-1])

        talking = asyncio.create_task(talk())
        for number in range(8):
            write(*files[number % 4])
            program.signal(signal.SIGHUP)
            await program.wait_output("routes read again", count=number + 1)
        await talking
        for chat, where in ((stage.group, stage.target), (other, place)):
            expected = [
                text
                for number, first in enumerate(said[chat])
                for text in [first, *[""] * (0 if number % 5 else 2)]
            ]
            await stage.shows(*expected, where=where)
