"""What becomes of an event at the tables' door: told on, given up, passed over; its neighbours played."""

from __future__ import annotations

import asyncio

import pytest

from bot.errors import DatabaseUnavailable
from bot.models import (
    ChatId,
    Cursor,
    Decision,
    Failure,
    MessageRef,
    Outcome,
    Reason,
    UnreadableMessage,
)
from bot.pipeline.patience import Pace
from bot.pipeline.recording import Listeners, Recorder
from tests.people import ALICE, GROUP, says

LOCKED = DatabaseUnavailable("locked")
NOW = 1_770_000_123
UPDATE = Decision(Outcome.UPDATE, Reason.OWNER)
DUPLICATE = Decision(Outcome.DUPLICATE, Reason.ALREADY_RECORDED)
REFUSED = Decision(Outcome.REJECTED, Reason.NOT_THE_OWNER)
CHATTER = Decision(Outcome.IGNORED, Reason.NOT_A_SIGNAL)
ORPHAN = Decision(Outcome.IGNORED, Reason.UNKNOWN_PARENT)
FAILED = Decision(Outcome.IGNORED, Reason.FAILED)
PASSED = Decision(Outcome.IGNORED, Reason.UNREADABLE)
KNOWN = Decision(Outcome.DUPLICATE, Reason.ALREADY_RECORDED)
EDITED = Decision(Outcome.DUPLICATE, Reason.UNREADABLE)


class Scene:
    """`answers` are what the door, or the table, says next; an exception is raised, each time."""

    def __init__(self, *answers, known=()):
        self.answers = list(answers)
        self.said = []  # what was told on, in its order
        self.noted, self.settled, self.moved = [], [], []
        self.refuses = None  # what the table says when a failure is to be recorded
        self.stopping = asyncio.Event()
        self.recorder = Recorder(
            self,
            self,
            known=set(known),
            stopping=self.stopping,
            listeners=Listeners(
                lambda **_: self.said.append("wake"),
                lambda: self.said.append("anew"),
                lambda failure: self.said.append(("failed", failure)),
                lambda message: self.said.append(("unreadable", message.id)),
            ),
            meter=self,
            pace=Pace(0.0001, clock=lambda: NOW),
        )

    def decided(self, decision, seconds, chat, topic=None):
        assert seconds >= 0
        self.said.append(decision)

    async def _answer(self, *_):
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    take = edited = deleted = add_unreadable = _answer

    async def change(self, work):
        if self.refuses is not None:
            raise self.refuses
        told = work.keywords
        self.noted += told.get("failures", ())
        self.settled += sorted(told.get("refs", ()))

    def reached(self, cursor):
        self.moved.append(cursor)


@pytest.mark.parametrize(
    ("decision", "woken"),
    [(UPDATE, True), (DUPLICATE, True), (REFUSED, False), (CHATTER, False), (ORPHAN, False)],
)
async def test_the_relay_is_woken_where_there_may_be_something_to_post(decision, woken):
    """One that comes again may have been edited meanwhile."""
    scene = Scene([decision])
    await scene.recorder.take([says(ALICE)])

    assert scene.said == [decision, *(["wake"] if woken else [])]


async def test_each_part_of_an_album_is_counted():
    scene = Scene([UPDATE, REFUSED])
    await scene.recorder.take([says(ALICE), says(ALICE)])

    assert scene.said == [UPDATE, REFUSED, "wake"]


async def test_edits_and_deletions_wake_the_relay():
    scene = Scene(None)
    await scene.recorder.edited(says(ALICE))
    await scene.recorder.deleted(GROUP, [1])

    assert scene.said == ["wake", "wake"]


MESSAGE = UnreadableMessage(GROUP, 5, 1_770_000_000, "unknown constructor")
UNDATED = UnreadableMessage(GROUP, 5, None, "unknown constructor")


async def test_what_cannot_be_read_is_counted_and_told_once():
    scene = Scene(PASSED)
    await scene.recorder.pass_over(MESSAGE)
    assert scene.said == [PASSED, ("unreadable", 5)]
    assert scene.noted == []

    again = Scene(KNOWN)
    await again.recorder.pass_over(MESSAGE)
    assert again.said == [KNOWN]


@pytest.mark.parametrize(("message", "at"), [(MESSAGE, 1_770_000_000), (UNDATED, NOW)])
async def test_an_edit_that_cannot_be_read_is_a_failure_of_what_stands(message, at):
    scene = Scene(EDITED)
    await scene.recorder.pass_over(message)

    error = "its edit cannot be read: unknown constructor"
    failure = Failure(message.ref, None, at, error)
    assert scene.noted == [failure]
    assert scene.said == [EDITED, FAILED, ("failed", failure)]


async def test_told_to_stop_what_was_not_recorded_is_told_to_nobody_and_no_cursor_moves():
    scene = Scene(LOCKED)
    scene.recorder.move(Cursor(GROUP, 1))
    scene.stopping.set()
    await scene.recorder.pass_over(MESSAGE)
    await scene.recorder.take([says(ALICE)])
    scene.recorder.move(Cursor(GROUP, 2))

    assert scene.said == []
    assert scene.moved == [Cursor(GROUP, 1)]


@pytest.mark.long
async def test_a_message_that_fails_by_itself_is_recorded_and_told_with_what_it_answers():
    scene = Scene(ValueError("a bug"))
    message = says(ALICE, to=MessageRef(GROUP, 4))
    await scene.recorder.take([message])
    scene.recorder.move(Cursor(GROUP, 2))

    failure = Failure(
        message.ref, ALICE, message.at, "a message: ValueError: a bug", message.reply_to
    )
    assert scene.noted == [failure]
    assert scene.said == [FAILED, ("failed", failure)]
    assert scene.moved == [Cursor(GROUP, 2)]


@pytest.mark.long
async def test_what_answers_a_message_of_another_chat_answers_nothing_here():
    scene = Scene(ValueError("a bug"))
    await scene.recorder.edited(says(ALICE, to=MessageRef(ChatId(-5), 4)))

    (failure,) = scene.noted
    assert (failure.error, failure.answers) == ("an edit: ValueError: a bug", None)


@pytest.mark.long
async def test_of_a_deletion_that_fails_a_hundred_messages_are_named():
    scene = Scene(ValueError("a bug"))
    await scene.recorder.deleted(GROUP, list(range(1, 150)))

    assert [each.ref for each in scene.noted] == [MessageRef(GROUP, n) for n in range(1, 101)]
    assert {(each.author, each.at, each.answers) for each in scene.noted} == {(None, NOW, None)}
    assert scene.noted[0].error == "its deletion: ValueError: a bug"


async def test_what_answers_a_failure_is_one_as_well_and_nothing_else_is():
    lost = MessageRef(GROUP, 4)
    scene = Scene([ORPHAN, ORPHAN, REFUSED], known=[lost])
    answers = [says(ALICE, to=lost), says(ALICE, to=MessageRef(GROUP, 3)), says(ALICE, to=lost)]
    await scene.recorder.take(answers)

    assert [(each.ref, each.error) for each in scene.noted] == [
        (answers[0].ref, "it answers what could not be dealt with")
    ]


async def test_a_failure_that_was_made_good_is_forgotten_once():
    message = says(ALICE)
    scene = Scene([UPDATE], known=[message.ref, MessageRef(GROUP, 1)])
    for _ in range(2):
        await scene.recorder.take([message])

    assert scene.settled == [message.ref]


async def test_where_it_cannot_be_forgotten_it_is_tried_again_the_next_time():
    message = says(ALICE)
    scene = Scene([UPDATE], known=[message.ref])
    scene.refuses = LOCKED
    await scene.recorder.take([message])
    scene.refuses = None
    await scene.recorder.take([message])

    assert scene.settled == [message.ref]


@pytest.mark.long
@pytest.mark.parametrize(
    ("trouble", "told", "moves"), [(LOCKED, False, False), (ValueError("no"), True, True)]
)
async def test_a_failure_that_cannot_be_recorded_holds_up_nobody(trouble, told, moves):
    """Locked until told to stop, it comes again; refused for good, it is in the log and told."""
    scene = Scene(EDITED)
    scene.refuses = trouble
    scene.stopping.set() if trouble is LOCKED else None
    await scene.recorder.pass_over(MESSAGE)
    scene.recorder.move(Cursor(GROUP, 2))

    assert (FAILED in scene.said) is told
    assert bool(scene.moved) is moves
