"""What subscribers of each place would have read in a trial: the finished posts of its tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.admin.formatting import UNPRINTABLE
from bot.admin.pause import unknown
from bot.errors import UsageError
from bot.models import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from bot.history.replay import Decided, Tally
    from bot.models import IncomingMessage, MessageRef
    from bot.routes import Routes, Source
    from bot.storage.post_records import ShownPost


@dataclass(slots=True)
class PlaceTally:
    shown: int = 0  # messages, however many posts each is
    hidden: Counter[str] = field(default_factory=Counter)  # by why the rules of the place keep them

    def count(self, posts: Sequence[ShownPost]) -> None:
        why = next((post.hidden for post in posts if post.hidden), None)
        if why is None:
            self.shown += 1
        else:
            self.hidden[why] += 1

    def as_json(self) -> dict[str, object]:
        return {"shown": self.shown, "hidden": dict(sorted(self.hidden.items()))}


def by_place(posts: Iterable[ShownPost]) -> dict[str, list[ShownPost]]:
    found: dict[str, list[ShownPost]] = {}
    for post in posts:
        found.setdefault(post.place, []).append(post)
    return found


def tally_of(source: Source) -> dict[str, PlaceTally]:
    """Of each of its places, since one that shows nothing is told as well."""
    return {place.label: PlaceTally() for place in source.places}


def rows(places: dict[str, PlaceTally]) -> Iterator[str]:
    """For the summary."""
    for name, place in places.items():
        why = ", ".join(f"{number} since {reason}" for reason, number in place.hidden.most_common())
        yield f"{place.shown:>8} shown in {name}" + (f"; not shown: {why}" if why else "")


def place_of(routes: Routes, name: str) -> str:
    """What the place of that name is called. Raises `UsageError`."""
    labels = [place.label for place in routes.places]
    found = next((label for label in labels if label.casefold() == name.casefold()), None)
    if found is None:
        said = unknown(name, labels).replace(
            "source or place", f"place of {routes.sources[0].name}"
        )
        raise UsageError(f"--place: {said}")
    return found


class PlaceReport:
    """Prints the posts of one place, in their order; no decision, and nothing of what is not shown there."""

    def __init__(self, console: Console, place: str) -> None:
        self._console = console
        self._place = place
        self._answers: dict[MessageRef, MessageRef | None] = {}
        self._shown: set[MessageRef] = set()

    def show(self, decided: Decided) -> None:
        message = decided.message
        posts = [post for post in decided.posts if post.place == self._place]
        if not posts:
            return
        answered = None if decided.decision.outcome is Outcome.SIGNAL else message.reply_to
        self._answers[message.ref] = answered
        if any(post.hidden for post in posts):
            return
        self._shown.add(message.ref)
        for post in posts:
            self._print(message, self._nearest(answered), post)

    def finish(self, tally: Tally) -> None:
        self._console.print(
            "\n".join(rows({self._place: tally.places[self._place]})), soft_wrap=True
        )

    def _nearest(self, answered: MessageRef | None) -> MessageRef | None:
        while answered is not None and answered not in self._shown:
            answered = self._answers.get(answered)
        return answered

    def _print(self, message: IncomingMessage, nearest: MessageRef | None, post: ShownPost) -> None:
        when = datetime.fromtimestamp(message.at, UTC).astimezone().strftime("%m-%d %H:%M")
        answers = "" if nearest is None else f", answers {nearest.message_id}"
        out = self._console.file
        out.write(f"── {message.id}, {when}{answers}\n")
        if post.media:
            out.write(f"[{post.media}]\n")
        out.writelines(f"{UNPRINTABLE.sub(' ', each)}\n" for each in post.text.split("\n"))
        out.write("\n")
