"""What the target is to show of all that was said, edited and deleted. Pure: facts in, findings out.

The rule is written once more here, from what people see and not from the bot's code:

- What the author of a signal says into its thread is posted once, in the order of the source, and
  shows its newest words. What a stranger says is not, nor is an answer to it.
- What was deleted in the source does not stand in the target. What a moderator deleted in the
  target does not come back.
- A post hangs on the post of what it answers, if that stood when it was sent; else on the nearest
  ancestor's that stood, at last on the signal's; else on nothing. Where the source had deleted what
  it answers by then, and only the post was still to go, either is right: that, or what would be
  if it were gone.

One thing depends on when the bot looked: a message deleted before the bot ever saw it is unknown to
it. An answer to such a message is judged by the first message of the thread, and is lost where that
one is unknown, too. Whether it was seen is asked of the bot's own tables, but only for messages that
were deleted before anybody had found them there: those that were seen in time may not be forgotten.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(eq=False)
class Line:
    """A message of the source, as it is now."""

    id: int
    key: str  # stands in the text through all edits, or names the photo
    text: str
    parent: Line | None = None  # what it answers; of a signal's album the lead
    photo: int | None = None
    album: int | None = None
    by_owner: bool = True  # False: a stranger's
    deleted: bool = False
    deleted_at: float = math.inf  # by the server's clock, in seconds
    seen_in_time: bool = True  # False: deleted, and the bot's tables did not have it then

    @property
    def opens_album(self) -> bool:
        """Whether it belongs to a signal's album, whose parts answer nothing."""
        return self.parent is not None and self.parent.album == self.album is not None

    @property
    def first(self) -> Line:
        """Of its thread, as Telegram's `reply_to_top_id` names it: a part of an album is its own."""
        line = self
        while line.parent is not None and not line.opens_album:
            line = line.parent
        return line

    @property
    def signal(self) -> Line:
        """What its flow began with: of an album the lead."""
        return [self, *self.ancestors()][-1]

    def ancestors(self) -> Iterable[Line]:
        line = self.parent
        while line is not None:
            yield line
            line = line.parent


@dataclass(frozen=True, eq=False)
class Post:
    """A message that was sent to the target. Moments are positions in the target's own history."""

    id: int
    key: str
    text: str
    sent: int
    date: float = 0.0  # of its sending, by the server's clock, in seconds
    reply_to: int | None = None
    photo: int | None = None
    album: int | None = None
    gone: int | None = None  # when it was deleted
    moderated: bool = False  # and by somebody else than the bot
    late_by: float = 0.0  # seconds between the last deletion before it and its sending

    def stood(self, moment: int) -> bool:
        return self.sent < moment and (self.gone is None or moment < self.gone)


def is_going(line: Line, post: Post) -> bool:
    """Whether it was deleted in the source before that post was sent: its own goes, too, in its turn."""
    return line.deleted_at <= post.date


class Finding(NamedTuple):
    """A difference between what the target shows and what it is to show."""

    kind: str
    key: str
    what: str = ""


KINDS = (
    "lost",
    "doubled",
    "unwanted",
    "out_of_order",
    "outdated",
    "wrong_media",
    "wrong_thread",
    "torn_album",
)


class Expected:
    """`recorded`: ids of source messages that the bot's tables hold in the end as part of a flow;
    `refused`: those that they hold as strangers' answers.

    `race`: seconds; a server that drops a reply to what is gone without a word (`tells_gone` False)
    leaves a post hanging on nothing if that went so shortly before.

    `names_first`: whether a message says what its thread began with.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        posts: Sequence[Post],
        recorded: Collection[int] = (),
        *,
        refused: Collection[int] = (),
        tells_gone: bool = True,
        race: float = 3.0,
        names_first: bool = True,
    ) -> None:
        self.lines = lines
        self.posts = posts
        self._recorded, self._refused = frozenset(recorded), frozenset(refused)
        self._race = 0.0 if tells_gone else race
        self._names_first = names_first
        self._continues: dict[Line, bool] = {}  # whoever saw it in time has it in a flow
        self._known: dict[Line, bool] = {}
        self._of: dict[str, list[Post]] = defaultdict(list)
        self._albums: dict[int, list[Line]] = defaultdict(list)
        for post in posts:
            self._of[post.key].append(post)
        for line in lines:
            if line.album is not None:
                self._albums[line.album].append(line)
        for line in lines:  # parents come before their answers, so nothing recurses deeply
            self._continues[line] = self._is_continued(line)
            self._known[line] = self._is_known(line)

    def findings(self) -> list[Finding]:
        wanted = [line for line in self.lines if self.is_wanted(line)]
        present = [line for line in wanted if self.standing(line)]
        lost = [line for line in wanted if not self.standing(line)]
        return [
            *(Finding("lost", line.key, line.text) for line in lost),
            *self._doubled(),
            *self._unwanted(wanted),
            *self._disordered(present),
            *(found for line in present for found in self._wrong(line)),
            *self._torn(present),
        ]

    def verdict(self) -> Counter[str]:
        found = Counter(finding.kind for finding in self.findings())
        return Counter({kind: found[kind] for kind in KINDS})

    # ── what is to be there ──

    def is_known(self, line: Line) -> bool:
        """Whether the bot has it in a flow."""
        return self._known[line]

    def is_wanted(self, line: Line) -> bool:
        moderated = any(post.moderated for post in self._of[line.key])
        return self.is_known(line) and not line.deleted and not moderated

    def standing(self, line: Line) -> Post | None:
        return next((post for post in self._of[line.key] if post.gone is None), None)

    def _is_known(self, line: Line) -> bool:
        return self._continues[line] if line.seen_in_time else line.id in self._recorded

    def _is_continued(self, line: Line) -> bool:
        parent = line.parent
        if not line.by_owner or parent is None:
            return line.by_owner
        if self._known[parent] or parent.seen_in_time:
            return self._known[parent]
        return self._is_left_behind(line, parent)

    def _is_left_behind(self, line: Line, parent: Line) -> bool:
        """The parent was gone before anybody found it recorded: the thread's first message decides.

        Where the parent itself would have been refused, it matters who was quicker: then its answer
        may be lost, or go on, and only the tables know.
        """
        if line.opens_album or not (self._continues[parent] or line.id in self._recorded):
            return line.id in self._recorded
        if parent.id in self._refused:
            return False
        if not self._names_first:
            return line.id in self._recorded
        return line.first is not parent and self._known[line.first]

    # ── what it may hang on ──

    def may_hang_on(self, line: Line, post: Post) -> set[int | None]:
        if line.opens_album or line.parent is None:
            return {None}
        above = list(line.ancestors())
        choices, passed = self._nearest(above, post)
        if not all(map(self.is_known, above[:passed])):  # the bot cannot know what was between
            choices |= self._nearest([line.first, line.signal], post)[0]
            choices |= self._stood(line.signal, post).keys()
        if self._race and self._went_just_before(line, post):
            choices.add(None)
        return choices

    def _nearest(self, lines: Sequence[Line], below: Post) -> tuple[set[int | None], int]:
        """The first whose post was to stay, else nothing, and what was only still to go before it;
        and how many lines that took.
        """
        choices: set[int | None] = set()
        for number, line in enumerate(lines, 1):
            stood = self._stood(line, below)
            choices |= stood.keys()
            if any(stood.values()):
                return choices, number
        return choices | {None}, len(lines)

    def _stood(self, line: Line, below: Post) -> dict[int, bool]:
        """The posts for it that stood then, and whether they were to stay.

        Where its own is gone or to go, one of the album's other parts will do.
        """
        own = self._standing_of([line], below)
        if line.album is None or any(own.values()):
            return own
        return self._standing_of(self._albums[line.album], below)

    def _standing_of(self, lines: Iterable[Line], below: Post) -> dict[int, bool]:
        return {
            post.id: not is_going(line, below)
            for line in lines
            for post in self._of[line.key]
            if post.stood(below.sent)
        }

    def _went_just_before(self, line: Line, post: Post) -> bool:
        gone = [p.gone for a in line.ancestors() for p in self._of[a.key] if p.gone is not None]
        return any(moment < post.sent for moment in gone) and post.late_by <= self._race

    # ── what is found ──

    def _doubled(self) -> Iterable[Finding]:
        """Counted over all that was ever sent: what came back after it was deleted is a double, too."""
        for key, posts in self._of.items():
            for post in posts[1:]:
                yield Finding("doubled", key, f"post {post.id} besides {posts[0].id}")

    def _unwanted(self, wanted: Sequence[Line]) -> Iterable[Finding]:
        keys = {line.key for line in wanted}
        for post in self.posts:
            if post.gone is None and post.key not in keys:
                yield Finding("unwanted", post.key, f"post {post.id}: {post.text}")

    def _disordered(self, present: Sequence[Line]) -> Iterable[Finding]:
        """One for each post that was sent before another whose source message is older."""
        latest = -1
        for line in sorted(present, key=lambda line: line.id):
            post = self.standing(line)
            assert post is not None
            if post.sent < latest:
                yield Finding("out_of_order", line.key, f"post {post.id} came too early")
            latest = max(latest, post.sent)

    def _wrong(self, line: Line) -> Iterable[Finding]:
        post = self.standing(line)
        assert post is not None
        if post.text != line.text:
            yield Finding("outdated", line.key, f"{post.text!r} instead of {line.text!r}")
        if post.photo != line.photo:
            yield Finding("wrong_media", line.key, f"{post.photo} instead of {line.photo}")
        choices = self.may_hang_on(line, post)
        if post.reply_to not in choices:
            names = " or ".join(map(str, choices))
            yield Finding("wrong_thread", line.key, f"hangs on {post.reply_to} and not on {names}")

    def _torn(self, present: Sequence[Line]) -> Iterable[Finding]:
        """Parts that stand side by side belong to one album; a single one may stand alone."""
        albums: dict[int, list[Post]] = defaultdict(list)
        for line in present:
            post = self.standing(line)
            if line.album is not None and post is not None:
                albums[line.album].append(post)
        for posts in albums.values():
            groups = {post.album for post in posts}
            if len(posts) > 1 and (len(groups) > 1 or None in groups):
                yield Finding("torn_album", posts[0].key, f"{len(posts)} parts in {groups}")
