"""The live bot from end to end: the real program over a real socket, Telegram's side played."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing

import pytest

from tests.loopback import CutAfter, Entity, FloodWait, RpcError, Swallow
from tests.stage import SEND


async def test_a_signal_and_its_authors_updates_are_relayed_as_a_thread(stage):
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
        await stage.bob.sends(stage.group, "thanks!", reply_to=signal_)
        update = await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await stage.bob.sends(stage.group, "I am out", reply_to=update)
        await stage.alice.sends(stage.group, "TP2", reply_to=update)
        await stage.bob.sends(stage.group, "what a day")

        first, second, third = await stage.shows("#idea BTC/USDT LONG", "TP1", "TP2")

    assert [first.reply_to, second.reply_to, third.reply_to] == [None, first.id, second.id]
    assert stage.reads(stage.group) == []


async def test_formatting_is_carried_over_and_markup_is_not_read(stage):
    text = "#idea **not bold** <b>nor this</b> but this"
    async with stage.relay():
        await stage.alice.sends(
            stage.group, text, entities=[Entity("Bold", len(text) - 4, 4), Entity("Code", 0, 5)]
        )
        (seen,) = await stage.shows(text)

    assert {(each.kind, each.offset, each.length) for each in seen.entities} == {
        ("Bold", len(text) - 4, 4),
        ("Code", 0, 5),
    }


async def test_a_photo_is_relayed_with_its_caption(stage):
    photo = stage.telegram.photo()
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea with a chart", photo=photo)
        await stage.alice.sends(stage.group, "", photo=stage.telegram.photo(), reply_to=signal_)
        first, second = await stage.shows("#idea with a chart", "")

    assert first.photo.id == photo.id
    assert second.photo is not None
    assert second.reply_to == first.id


async def test_an_album_arrives_as_an_album(stage):
    photos = [stage.telegram.photo() for _ in range(3)]
    async with stage.relay():
        parts = await stage.alice.sends_album(stage.group, photos, caption="#idea in pictures")
        await stage.alice.sends(stage.group, "TP1", reply_to=parts[0])
        *album, update = await stage.shows("#idea in pictures", "", "", "TP1")

    assert len({seen.grouped_id for seen in album}) == 1
    assert album[0].grouped_id is not None
    assert [seen.photo.id for seen in album] == [photo.id for photo in photos]
    assert update.reply_to == album[0].id


async def test_a_reply_to_any_part_of_an_album_belongs_to_its_flow(stage):
    async with stage.relay():
        parts = await stage.alice.sends_album(
            stage.group, [stage.telegram.photo() for _ in range(2)], caption="#idea"
        )
        await stage.bob.sends(stage.group, "nice", reply_to=parts[1])
        await stage.alice.sends(stage.group, "closed", reply_to=parts[1])
        seen = await stage.shows("#idea", "", "closed")

    assert seen[2].reply_to == seen[1].id


async def test_a_text_too_long_for_one_message_arrives_in_parts(stage):
    text = "#idea " + "слово " * 1_000
    async with stage.relay():
        message = await stage.alice.sends(stage.group, text)
        first, second = await in_parts(stage, text)
        await stage.alice.edits(message, "#idea, closed")
        await stage.shows("#idea, closed")
        text = text.replace("слово", "снова")
        await stage.alice.edits(message, text)
        assert [each.id for each in await in_parts(stage, text)] != [first.id, second.id]


async def in_parts(stage, text):
    def is_there():
        return "".join(seen.text for seen in stage.posted()).split() == text.split()

    await stage.telegram.wait_for(is_there, timeout=20, what="the text in two parts")
    first, second = stage.posted()
    assert second.reply_to == first.id
    return first, second


async def test_an_edit_is_relayed_and_a_deletion_is_too(stage):
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        update = await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await stage.shows("#idea BTC", "TP1")
        await stage.alice.edits(signal_, "#idea BTC, risk 1%")
        await stage.shows("#idea BTC, risk 1%", "TP1")
        await stage.alice.deletes(update)
        await stage.shows("#idea BTC, risk 1%")

    assert stage.rows("SELECT text FROM signals") == [("#idea BTC, risk 1%",)]
    assert len(stage.rows("SELECT * FROM signal_updates")) == 1


async def test_an_edit_that_brings_the_marker_makes_a_signal(stage):
    async with stage.relay():
        message = await stage.alice.sends(stage.group, "BTC LONG")
        await stage.alice.edits(message, "#idea BTC LONG")
        await stage.shows("#idea BTC LONG")
        await stage.alice.edits(message, "BTC LONG, done")
        await stage.shows("BTC LONG, done")


async def test_edits_and_deletions_stay_here_if_the_operator_says_so(stage):
    async with stage.relay(RELAY_EDITS="false", RELAY_DELETES="false"):
        signal_ = await stage.alice.sends(stage.group, "#idea BTC")
        await stage.shows("#idea BTC")
        await stage.alice.edits(signal_, "#idea ETH")
        await stage.alice.deletes(signal_)
        await stage.alice.sends(stage.group, "#idea SOL")
        await stage.shows("#idea BTC", "#idea SOL")


async def test_a_flood_wait_delays_and_loses_nothing(stage):
    stage.telegram.faults.on(SEND, FloodWait(2), times=1)
    async with stage.relay():
        for number in range(3):
            await stage.alice.sends(stage.group, f"#idea {number}")
        await stage.shows("#idea 0", "#idea 1", "#idea 2")


async def test_an_answer_that_never_came_doubles_nothing(stage):
    stage.telegram.faults.on(SEND, Swallow(), times=1)
    async with stage.relay() as program:
        await stage.alice.sends(stage.group, "#idea once")
        await stage.alice.sends(stage.group, "#idea twice")
        await program.wait_output('"posted"', count=2, timeout=40)

    assert [seen.text for seen in stage.posted()] == ["#idea once", "#idea twice"]
    assert stage.rows("SELECT DISTINCT state FROM posts") == [("sent",)]


async def test_where_telegram_refuses_a_repetition_the_post_is_found(stage):
    """The answer is lost, and the same post again is refused as known, without saying which."""
    stage.telegram.rules.duplicates = "error"
    stage.telegram.faults.on(SEND, CutAfter(), times=1)
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea once")
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        first, second = await stage.shows("#idea once", "TP1")

    assert second.reply_to == first.id


async def test_a_message_telegram_refuses_fails_alone_and_visibly(stage):
    stage.telegram.faults.on(SEND, RpcError(400, "MESSAGE_EMPTY"), times=1)
    async with stage.relay() as program:
        await stage.alice.sends(stage.group, "#idea bad")
        await stage.alice.sends(stage.group, "#idea good")
        await stage.shows("#idea good")
        assert "MESSAGE_EMPTY" in program.output

    assert stage.rows("SELECT state FROM posts ORDER BY id") == [("failed",), ("sent",)]


async def test_a_reply_whose_parent_is_gone_from_the_target_is_posted_unthreaded(stage):
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea")
        await stage.shows("#idea")
        stage.telegram.faults.on(SEND, RpcError(400, "REPLY_MESSAGE_ID_INVALID"), times=1)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        _, update = await stage.shows("#idea", "TP1")

    assert update.reply_to is None


async def test_what_is_pending_when_the_bot_stops_is_posted_when_it_starts(stage):
    script = stage.telegram.faults.on(SEND, RpcError(403, "CHAT_WRITE_FORBIDDEN"), times=None)
    async with stage.relay() as program:
        await stage.alice.sends(stage.group, "#idea kept")
        await program.wait_output("takes nothing", timeout=10)
    assert stage.posted() == []
    script.cancel()
    async with stage.relay():
        await stage.shows("#idea kept")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_stop_is_obeyed_in_order(stage, number):
    async with stage.relay() as program:
        program.signal(number)
        assert await program.wait(timeout=10) == 0


async def test_a_locked_table_delays_decisions_and_loses_none(stage):
    async with stage.relay() as program:
        with closing(
            sqlite3.connect(stage.directory / "data" / "signals.db", isolation_level=None)
        ) as db:
            db.execute("BEGIN IMMEDIATE")
            await stage.alice.sends(stage.group, "#idea 1")
            await stage.alice.sends(stage.group, "#idea 2")
            await program.wait_output("intake waits", timeout=30)
        await stage.shows("#idea 1", "#idea 2")


async def test_a_second_bot_on_the_same_directory_is_refused(stage):
    async with stage.relay() as program:
        second = await stage.launch()

        assert await second.wait(timeout=15) == 3
        assert f"(pid {program.pid})" in second.output


async def test_an_author_who_answers_at_once_is_relayed_in_order(stage):
    async with stage.relay():
        texts = []
        for number in range(20):
            signal_ = await stage.alice.sends(stage.group, f"#idea {number}")
            await stage.alice.sends(stage.group, f"update {number}", reply_to=signal_)
            texts += [f"#idea {number}", f"update {number}"]
        seen = await stage.shows(*texts)

    assert all(
        update.reply_to == signal_.id for signal_, update in zip(seen[::2], seen[1::2], strict=True)
    )


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"BOT_TOKEN": "43:wrong"}, "BOT_TOKEN is wrong or was revoked, @BotFather gives another"),
        ({"API_HASH": "0" * 32}, "API_ID or API_HASH is wrong, see https://my.telegram.org"),
        ({"API_ID": "77"}, "API_ID or API_HASH is wrong, see https://my.telegram.org"),
    ],
    ids=["token", "hash", "id"],
)
async def test_what_telegram_does_not_take_is_one_line_and_a_wrong_setting(stage, wrong, line):
    """Exit code 2: systemd does not start it again every ten seconds."""
    program = await stage.launch(**wrong)

    assert await program.wait(timeout=30) == 2
    (error,) = (each for each in program.stderr.splitlines() if each.startswith("error: "))
    assert line in error
    assert '"started"' not in program.output
    assert "43:wrong" not in program.output


# ── check ─────────────────────────────────────────────────────────────────────


async def test_check_says_who_the_bot_is_and_what_it_may_do(stage):
    done = await stage.launch("check", SOURCE_ALLOWED_USERS="5,6")

    assert await done.wait(timeout=30) == 0, done.output
    assert [line[:9].strip() for line in done.stdout.splitlines()] == ["ok"] * 6
    assert "(@relay_bot), a bot, id 42" in done.stdout
    assert f"reads the supergroup 'Signals' ({stage.group.id})" in done.stdout
    assert f"posts to the channel 'Target' ({stage.target.id})" in done.stdout
    assert stage.posted() == []


async def test_check_warns_of_what_is_risky(stage):
    done = await stage.launch("check")

    assert await done.wait(timeout=30) == 0, done.output
    assert "everybody may post signals, and continue flows" in done.stdout


async def test_check_fails_where_the_bot_could_not_work(stage):
    closed = stage.telegram.channel("Closed")
    done = await stage.launch("check", TARGET_CHAT_ID=f"{stage.target.id},{closed.id}")

    assert await done.wait(timeout=30) == 1, done.output
    assert "has the account been added there?" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()].count("FAILURE") == 0
    assert "42:secret" not in done.output


async def test_check_fails_where_group_privacy_hides_the_group(stage):
    hidden = stage.telegram.supergroup("Hidden", members=[stage.alice, stage.bot])
    done = await stage.launch("check", SOURCE_CHAT_ID=str(hidden.id))

    assert await done.wait(timeout=30) == 1, done.output
    assert "cannot read the supergroup 'Hidden'" in done.stderr
    assert "/setprivacy" in done.stderr
