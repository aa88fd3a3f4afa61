"""What became of a group's messages, counted for a picture.

Facts may come in any order; of a person's names the one that came last is shown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from bot.models import AuthorId, MessageRef, Outcome, Reason, UnixTime
from bot.report.words import HOUR, readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import timedelta

    from bot.models import Fact, SignalId
    from bot.signal_fields import EventKind


class Voice(StrEnum):
    """Whose reply into a flow it was, and whether it was relayed."""

    AUTHOR = "author"  # of the signal, whatever became of it
    RELEASED = "released"  # somebody else's, relayed: the flow had been quiet for too long
    REFUSED = "refused"  # somebody else's


class Load(StrEnum):
    """What a message of any kind was to the bot."""

    SIGNAL = "signal"
    RELAYED = "relayed"
    REFUSED = "refused"
    OTHER = "other"


LOADS = {
    Outcome.SIGNAL: Load.SIGNAL,
    Outcome.UPDATE: Load.RELAYED,
    Outcome.REJECTED: Load.REFUSED,
}

SUBJECT_TO_TTL = {Reason.NOT_THE_OWNER, Reason.RELEASED}


class CountedReply(NamedTuple):
    at: UnixTime
    author: AuthorId | None  # None: cannot be told
    outcome: Outcome
    reason: Reason
    album: int | None  # shared by the parts of one album
    event: EventKind | None = None  # what it tells of the signal; None: nothing beyond doubt


class Hold(NamedTuple):
    """A time in which a flow is its author's alone: from a word of theirs to a TTL after their last."""

    start: UnixTime
    last_word: UnixTime
    end: UnixTime


class Pause(NamedTuple):
    """How long before a message its flow's author had last spoken in that flow."""

    seconds: int
    by_author: bool


# Replies into flows, by who wrote them (None: cannot be told) and whose flow it is.
Answers = dict[tuple[AuthorId | None, AuthorId], Counter[Voice]]


@dataclass(slots=True)
class Story:
    """A flow from its signal on."""

    owner: AuthorId
    at: UnixTime
    about: str
    album: int | None
    replies: list[CountedReply]
    link: str | None = None  # None: there is none to the signal

    def words(self) -> list[CountedReply]:
        """The author's, the signal among them. By date: messages may be recorded late."""
        signal = CountedReply(self.at, self.owner, Outcome.SIGNAL, Reason.NEW_SIGNAL, self.album)
        updates = (reply for reply in self.replies if reply.reason is Reason.OWNER)
        return sorted([signal, *updates], key=lambda word: word.at)

    def holds(self, ttl: int) -> list[Hold]:
        holds: list[Hold] = []
        for word in self.words():
            if holds and word.at <= holds[-1].end:
                holds[-1] = Hold(holds[-1].start, word.at, UnixTime(word.at + ttl))
            else:
                holds.append(Hold(word.at, word.at, UnixTime(word.at + ttl)))
        return holds

    def voice(self, reply: CountedReply) -> Voice:
        if reply.author == self.owner:
            return Voice.AUTHOR
        return Voice.RELEASED if reply.outcome is Outcome.UPDATE else Voice.REFUSED


@dataclass(slots=True)
class SourceCounts:
    """What there is of one source."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    last: UnixTime | None = None  # None: no message

    def add(self, fact: Fact) -> None:
        self.outcomes[fact.outcome] += 1
        self.last = fact.at if self.last is None else max(self.last, fact.at)


@dataclass(slots=True)
class Figures:
    """`since`: what is older is not counted, but still tells when a flow was opened and by whom.

    `by_source` has those from the start that are to be told apart; empty: none are.
    """

    flow_ttl: timedelta
    since: UnixTime | None = None  # None: everything is counted
    first: UnixTime | None = None  # None: no message
    last: UnixTime | None = None
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    hours: list[Counter[Load]] = field(default_factory=lambda: [Counter() for _ in range(24)])
    by_hour: Counter[tuple[int, Outcome]] = field(default_factory=Counter)  # hours since 1970
    by_source: dict[str, SourceCounts] = field(default_factory=dict)
    names: dict[AuthorId, str] = field(default_factory=dict)
    _signals: dict[SignalId, Fact] = field(default_factory=dict)
    _replies: dict[SignalId, list[CountedReply]] = field(default_factory=lambda: defaultdict(list))
    _of_name: Counter[str] | None = None  # how many people have it; None: not counted since

    @property
    def ttl(self) -> int:
        """In seconds."""
        return int(self.flow_ttl.total_seconds())

    def counts(self, at: UnixTime) -> bool:
        return self.since is None or at >= self.since

    def add(self, fact: Fact, source: str = "") -> None:
        """`source`: its name; empty: it has none any more."""
        if fact.author is not None and fact.author_name:
            self.call(fact.author, fact.author_name)
        if self.counts(fact.at):
            self._count(fact)
            if self.by_source:
                self.by_source.setdefault(source, SourceCounts()).add(fact)
        if fact.flow is None:
            return
        if fact.outcome is Outcome.SIGNAL:
            self._signals[fact.flow] = fact._replace(text=_subject(fact))
        elif fact.outcome in {Outcome.UPDATE, Outcome.REJECTED}:
            reply = CountedReply(
                fact.at, fact.author, fact.outcome, fact.reason, fact.album, fact.event
            )
            self._replies[fact.flow].append(reply)

    def call(self, author: AuthorId, name: str) -> None:
        self.names[author] = name
        self._of_name = None

    def _count(self, fact: Fact) -> None:
        self.first = fact.at if self.first is None else min(self.first, fact.at)
        self.last = fact.at if self.last is None else max(self.last, fact.at)
        self.outcomes[fact.outcome] += 1
        self.by_hour[fact.at // HOUR, fact.outcome] += 1
        self.hours[fact.at // HOUR % 24][LOADS.get(fact.outcome, Load.OTHER)] += 1

    def stories(self) -> Iterator[Story]:
        """Every flow, by the date of its signal."""
        for flow, signal in sorted(self._signals.items(), key=lambda item: (item[1].at, item[0])):
            if signal.author is not None:  # nobody unknown opens a flow
                replies = self._replies.get(flow, [])
                ref = signal.chat and MessageRef(signal.chat, signal.message_id)
                link = ref.link if isinstance(ref, MessageRef) else None
                yield Story(signal.author, signal.at, signal.text, signal.album, replies, link)

    def answers(self) -> Answers:
        answers: Answers = defaultdict(Counter)
        for story in self.stories():
            for reply in story.replies:
                if self.counts(reply.at):
                    answers[reply.author, story.owner][story.voice(reply)] += 1
        return answers

    def pauses(self) -> Iterator[Pause]:
        """Of the authors' updates, and of the replies a shorter TTL would have let through."""
        for story in self.stories():
            words = story.words()
            for before, word in pairwise(words):
                # The parts of an album come at once, and are one answer.
                same = word.album is not None and word.album == before.album
                if self.counts(word.at) and not same:
                    yield Pause(word.at - before.at, by_author=True)
            yield from self._others_pauses(story, [word.at for word in words])

    def _others_pauses(self, story: Story, dates: list[UnixTime]) -> Iterator[Pause]:
        for reply in story.replies:
            if self.counts(reply.at) and reply.reason in SUBJECT_TO_TTL:
                spoken = dates[max(0, bisect_right(dates, reply.at) - 1)]
                yield Pause(max(0, reply.at - spoken), by_author=False)

    def people(self) -> set[AuthorId]:
        """Those who posted a signal or answered into one."""
        replies = (reply.author for each in self._replies.values() for reply in each)
        signals = (signal.author for signal in self._signals.values())
        return {author for author in (*signals, *replies) if author is not None}

    def name(self, author: AuthorId | None) -> str:
        """With the id where somebody else has the same name: names can be copied."""
        if author is None:
            return "unknown sender"
        name = readable(self.names.get(author, ""))
        if self._of_name is None:
            self._of_name = Counter(map(readable, self.names.values()))
        return f"{name} ({author})" if name and self._of_name[name] > 1 else name or str(author)


class Stretch(NamedTuple):
    """How many flows were open at the moment of a stretch of time at which most were."""

    start: UnixTime
    at_work: int  # and the author had not said their last word
    tails: int


def stretches(stories: Iterable[Story], ttl: int, start: int, end: int, step: int) -> list[Stretch]:
    """In steps of so many seconds; what of a flow lies before `start` is left out."""
    most = [(0, 0)] * max(1, -(-(end - start) // step))
    changes: list[tuple[int, int, int]] = []
    for story in stories:
        for hold in story.holds(ttl):
            # The last second is still the author's.
            changes += [(hold.start, 1, 0), (hold.last_word, -1, 1), (hold.end + 1, 0, -1)]
    at_work = tails = 0
    changes = [(max(at, start), more, less) for at, more, less in sorted(changes)]
    for (at, more_work, more_tails), (until, *_) in pairwise([*changes, (end, 0, 0)]):
        at_work, tails = at_work + more_work, tails + more_tails
        for place in range((at - start) // step, min(len(most), -(-(until - start) // step))):
            most[place] = max(most[place], (at_work, tails), key=sum)
    return [Stretch(UnixTime(start + place * step), *each) for place, each in enumerate(most)]


def _subject(fact: Fact) -> str:
    """What a signal is about, in a few words."""
    if fact.pair:
        subject = " ".join(filter(None, (fact.pair, fact.direction)))
    else:
        subject = next(iter(fact.text.strip().splitlines()), "")
    return readable(subject) or f"message {fact.message_id}"
