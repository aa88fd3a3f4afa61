"""Polls: what it takes to ask the same question again. Votes cannot be carried.

As JSON in a file id of ours, as other media that are no files; see `messages`.
"""

from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pyrogram import raw

from bot.models import Entity
from bot.telegram.entities import entities, entities_to_raw
from bot.telegram.layers import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

types: Final[Any] = raw.types

# Of newer layers; what is set of these is set in the copy.
RULES: Final = ("revoting_disabled", "shuffle_answers", "hide_results_until_close")
PERIODS: Final = range(5, 601)  # seconds; https://core.telegram.org/constructor/poll


def poll_facts(found: Any) -> dict[str, Any] | None:
    """Only what is said of it; None: it cannot be told what is asked.

    Which answers of a quiz are right Telegram tells those who have voted, and everybody at the end.
    """
    poll, results = getattr(found, "poll", None), getattr(found, "results", None)
    answers = list(getattr(poll, "answers", None) or ())
    question = _words(getattr(poll, "question", None))
    if question is None or len(answers) < 1:
        return None
    correct = _correct(answers, results)
    quiz = bool(getattr(poll, "quiz", None)) and bool(correct)
    facts = {
        "question": question,
        "answers": [_words(getattr(answer, "text", None)) or {"text": ""} for answer in answers],
        "closed": bool(getattr(poll, "closed", None)),
        "public": bool(getattr(poll, "public_voters", None)),
        "multiple": bool(getattr(poll, "multiple_choice", None)),
        "quiz": quiz,
        "period": getattr(poll, "close_period", None),
        "correct": correct if quiz else None,
        "solution": _solution(results) if quiz else None,
        **{rule: bool(getattr(poll, rule, None)) for rule in RULES},
    }
    return {name: value for name, value in facts.items() if value}


def poll_losses(found: Any) -> Iterator[str]:
    """In words what a poll has and its copy lacks, besides the votes."""
    poll = getattr(found, "poll", None)
    if poll is None:
        return
    answers = list(getattr(poll, "answers", None) or ())
    if getattr(poll, "quiz", None) and not _correct(answers, getattr(found, "results", None)):
        yield "which answer of the quiz is right"
    pictured = [found, *answers]
    if any(getattr(each, name, None) for each in pictured for name in ("attached_media", "media")):
        yield "pictures of a poll"


def _correct(answers: list[Any], results: Any) -> list[int]:
    right = {
        each.option
        for each in getattr(results, "results", None) or ()
        if getattr(each, "correct", None)
    }
    return [number for number, answer in enumerate(answers) if answer.option in right]


def _words(text: Any) -> dict[str, Any] | None:
    """Newer layers format the words, older ones have a plain text."""
    formats = entities(getattr(text, "entities", None))
    plain = getattr(text, "text", text)
    if not isinstance(plain, str):
        return None
    return _said(plain, formats)


def _solution(results: Any) -> dict[str, Any] | None:
    text = getattr(results, "solution", None)
    return _said(text, entities(getattr(results, "solution_entities", None))) if text else None


def _said(text: str, formats: tuple[Entity, ...]) -> dict[str, Any]:
    if not formats:
        return {"text": text}
    told = [{k: v for k, v in asdict(entity).items() if v is not None} for entity in formats]
    return {"text": text, "entities": told}


def poll_to_input(facts: Mapping[str, Any], *, anonymous: bool = False) -> Any:
    """`anonymous`: whatever the facts say, as in channels nobody may see who voted."""
    numbered = [_answer(words, number) for number, words in enumerate(facts["answers"])]
    period = facts.get("period")
    poll = build(
        types.Poll,
        id=0,
        hash=0,
        question=_input(facts["question"]),
        answers=numbered,
        closed=facts.get("closed"),
        public_voters=None if anonymous else facts.get("public"),
        multiple_choice=facts.get("multiple"),
        quiz=facts.get("quiz"),
        **{rule: True for rule in RULES if facts.get(rule)},
        close_period=period if period in PERIODS and not facts.get("closed") else None,
    )
    solution = facts.get("solution", {})
    return build(
        types.InputMediaPoll,
        poll=poll,
        correct_answers=_numbers(facts.get("correct")),
        solution=solution.get("text"),
        solution_entities=_Told(_formats(solution)) if solution else None,
    )


class _Told(list[Any]):
    """Kurigram leaves an empty vector out, although the flag of the text says that it is there."""

    def __bool__(self) -> bool:
        return True


def _numbers(correct: list[int] | None) -> list[Any] | None:
    """Newer layers count the answers, older ones name them."""
    if correct is None or hasattr(types, "InputPollAnswer"):
        return correct
    return [_option(number) for number in correct]


def _answer(words: Mapping[str, Any], number: int) -> Any:
    newer = getattr(types, "InputPollAnswer", None)
    if newer is not None:
        return newer(text=_input(words))
    return build(types.PollAnswer, text=_input(words), option=_option(number))


def _option(number: int) -> bytes:
    return b"%d" % number


def _input(words: Mapping[str, Any]) -> Any:
    question = inspect.signature(types.Poll).parameters["question"].annotation
    if "TextWithEntities" not in str(question):
        return words["text"]
    return types.TextWithEntities(text=words["text"], entities=_formats(words))


def _formats(words: Mapping[str, Any]) -> list[Any]:
    return entities_to_raw([Entity(**each) for each in words.get("entities", ())])
