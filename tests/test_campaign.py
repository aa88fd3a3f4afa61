"""The campaign's judge: it finds each kind of wrong, and calls nothing wrong that is not."""

from __future__ import annotations

import itertools

import pytest

from tests.campaign.expected import KINDS, Expected, Line, Post


class Chat:
    """A source and a target in which everything went as it should, until a test spoils something."""

    def __init__(self, **how):
        self.lines, self.posts, self.recorded, self.refused = [], [], set(), set()
        self.how = how
        self.moments = itertools.count(1)

    def says(self, text, parent=None, *, posted=True, under=None, **more):
        """A message and, unless it is not posted, its post: under its parent's, or under another's."""
        number = len(self.lines) + 1
        line = Line(number, f"<{number}>", f"{text} <{number}>", parent, **more)
        self.lines.append(line)
        if posted:
            self.post(line, under=under or parent)
        return line

    def album(self, size, parent=None, album=7):
        """Three pictures in one; those of a signal answer nothing."""
        parts = []
        for photo in range(album * 10, album * 10 + size):
            number = len(self.lines) + 1
            owner = parent or (parts[0] if parts else None)
            line = Line(number, f"photo {photo}", "", owner, photo, album)
            self.lines.append(line)
            self.post(line, under=parent, album=album + 100)
            parts.append(line)
        return parts

    def post(self, line, *, under=None, **more):
        above = self.of(under) if isinstance(under, Line) else under
        self.posts.append(
            Post(
                id=500 + len(self.posts),
                key=line.key,
                text=more.pop("text", line.text),
                sent=next(self.moments),
                reply_to=above and above.id,
                photo=line.photo,
                **more,
            )
        )
        return self.posts[-1]

    def of(self, line):
        return next(post for post in reversed(self.posts) if post.key == line.key)

    def changes(self, line, **fields):
        old = self.of(line)
        new = Post(**{name: getattr(old, name) for name in Post.__dataclass_fields__} | fields)
        self.posts[self.posts.index(old)] = new

    def unposts(self, line, *, moderated=False):
        self.changes(line, gone=next(self.moments), moderated=moderated)

    def deletes(self, line, *, seen=True, unposts=True):
        line.deleted, line.seen_in_time = True, seen
        if unposts:
            self.unposts(line)

    def found(self):
        expected = Expected(self.lines, self.posts, self.recorded, refused=self.refused, **self.how)
        return [(finding.kind, finding.key) for finding in expected.findings()]


@pytest.fixture
def chat():
    return Chat()


@pytest.fixture
def thread(chat):
    """A signal, an update, an update of that, and nothing wrong so far."""
    signal = chat.says("#idea")
    first = chat.says("stop to entry", signal)
    return signal, first, chat.says("фиксируем половину", first)


def test_what_is_as_it_should_be_is_found_to_be_so(chat, thread):
    chat.album(3)
    chat.album(2, thread[0], album=8)
    chat.says("thanks", thread[0], posted=False, by_owner=False)
    chat.deletes(thread[1])
    assert chat.found() == []


# ── each kind of wrong ──


def test_what_is_missing_is_lost(chat, thread):
    line = chat.says("closed", thread[0], posted=False)
    assert chat.found() == [("lost", line.key)]


def test_what_stands_twice_is_doubled(chat, thread):
    chat.post(thread[2], under=thread[1])
    assert ("doubled", thread[2].key) in chat.found()


def test_what_comes_back_after_a_moderator_deleted_it_is_wrong(chat, thread):
    chat.unposts(thread[2], moderated=True)
    assert chat.found() == []
    chat.post(thread[2], under=thread[1])
    assert set(chat.found()) == {("doubled", thread[2].key), ("unwanted", thread[2].key)}


@pytest.mark.parametrize("whose", ["a stranger's", "a deleted one", "an answer to a stranger's"])
def test_what_should_not_stand_is_unwanted(chat, thread, whose):
    if whose == "a deleted one":
        line = thread[2]
        chat.deletes(line, unposts=False)
    else:
        line = chat.says("thanks", thread[0], posted=False, by_owner=False)
        if whose == "an answer to a stranger's":
            line = chat.says("you are welcome", line, posted=False)
        chat.post(line, under=thread[0])
    assert chat.found() == [("unwanted", line.key)]


def test_what_shows_old_words_is_outdated(chat, thread):
    thread[1].text += ", edited"
    assert chat.found() == [("outdated", thread[1].key)]


def test_what_shows_another_photo_has_the_wrong_medium(chat, thread):
    thread[1].photo = 3
    assert chat.found() == [("wrong_media", thread[1].key)]


def test_what_is_posted_before_what_was_said_before_is_out_of_order(chat, thread):
    line = chat.says("#idea", posted=False)
    chat.says("#idea")
    chat.post(line)
    assert [kind for kind, _ in chat.found()] == ["out_of_order"]


def test_the_parts_of_an_album_in_two_albums_are_torn(chat):
    parts = chat.album(3)
    chat.changes(parts[2], album=999)
    assert chat.found() == [("torn_album", parts[0].key)]


def test_parts_one_by_one_are_torn_and_a_single_one_that_is_left_is_not(chat):
    parts = chat.album(2)
    for part in parts:
        chat.changes(part, album=None)
    assert [kind for kind, _ in chat.found()] == ["torn_album"]
    chat.deletes(parts[1])
    assert chat.found() == []


@pytest.mark.parametrize("under", ["nothing", "the signal", "another signal"])
def test_what_hangs_on_another_post_than_its_parents_is_in_the_wrong_thread(chat, thread, under):
    other = chat.says("#idea")
    chat.says("closed", thread[1], posted=False)
    on = {"nothing": None, "the signal": thread[0], "another signal": other}[under]
    line = chat.lines[-1]
    chat.post(line, under=on)
    assert chat.found() == [("wrong_thread", line.key)]


def test_a_signal_that_hangs_on_something_is_in_the_wrong_thread(chat, thread):
    line = chat.says("#idea", posted=False)
    chat.post(line, under=thread[0])
    assert chat.found() == [("wrong_thread", line.key)]


# ── the nearest ancestor that stands ──


@pytest.mark.parametrize("moderated", [True, False])
def test_below_a_post_that_is_gone_it_hangs_on_the_nearest_that_stands(chat, thread, moderated):
    signal, first, second = thread
    chat.unposts(second, moderated=moderated)
    second.deleted = not moderated
    line = chat.says("tp1", second, under=first)
    assert chat.found() == []
    for wrong in (signal, None):
        chat.changes(line, reply_to=wrong and chat.of(wrong).id)
        assert chat.found() == [("wrong_thread", line.key)]


def test_where_nothing_stands_it_hangs_on_nothing(chat, thread):
    for line in thread:
        chat.unposts(line, moderated=True)
    line = chat.says("tp1", thread[2], posted=False)
    chat.post(line)
    assert chat.found() == []


def test_what_was_sent_before_its_parents_post_went_hangs_on_that(chat, thread):
    chat.says("tp1", thread[2])
    chat.deletes(thread[2])
    assert chat.found() == []


def test_in_place_of_an_albums_part_another_part_will_do(chat):
    parts = chat.album(3)
    chat.unposts(parts[1], moderated=True)
    chat.says("tp1", parts[1], under=parts[2])
    assert chat.found() == []


@pytest.mark.parametrize(("sent_at", "either"), [(9.0, False), (10.0, True)])
def test_what_is_only_still_to_go_may_be_passed_over(chat, thread, sent_at, either):
    """The source has deleted it, and the bot knows: what it answers then stays."""
    signal, first, second = thread
    line = chat.says("tp1", second, under=first)
    chat.changes(line, date=sent_at)
    chat.deletes(second)
    second.deleted_at = 10.0
    assert chat.found() == ([] if either else [("wrong_thread", line.key)])
    chat.changes(line, reply_to=chat.of(second).id)
    assert chat.found() == []
    chat.changes(line, reply_to=chat.of(signal).id)
    assert chat.found() == [("wrong_thread", line.key)]


@pytest.mark.parametrize(("sent_at", "either"), [(9.0, False), (10.0, True)])
def test_so_may_the_part_of_an_album_that_is_still_to_go(chat, sent_at, either):
    parts = chat.album(3)
    line = chat.says("tp1", parts[1], under=parts[2])
    chat.changes(line, date=sent_at)
    chat.deletes(parts[1])
    parts[1].deleted_at = 10.0
    assert chat.found() == ([] if either else [("wrong_thread", line.key)])


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize(("sent_at", "either"), [(9.0, False), (10.0, True)])
def test_where_the_signal_is_only_still_to_go_nothing_above_will_do(chat, sent_at, either, unseen):
    """There is nothing else that is to stay; nor where what it answers was never seen."""
    signal = chat.says("#idea")
    parent = chat.says("tp1", signal, posted=False) if unseen else signal
    line = chat.says("tp2", parent, under=signal)
    if unseen:
        chat.deletes(parent, seen=False, unposts=False)
    chat.deletes(signal)
    signal.deleted_at = 10.0
    chat.changes(line, date=sent_at)
    assert chat.found() == []
    chat.changes(line, reply_to=None)
    assert chat.found() == ([] if either else [("wrong_thread", line.key)])


def test_past_what_is_still_to_go_the_search_goes_on_above_what_a_moderator_deleted(chat, thread):
    signal, first, second = thread
    chat.unposts(first, moderated=True)
    line = chat.says("tp1", second, under=signal)
    chat.changes(line, date=10.0)
    chat.deletes(second)
    second.deleted_at = 10.0
    assert chat.found() == []
    chat.changes(line, reply_to=None)
    assert chat.found() == [("wrong_thread", line.key)]


@pytest.mark.parametrize(("seconds", "found"), [(1, []), (9, ["wrong_thread"])])
def test_a_server_that_says_nothing_leaves_a_moment_for_a_race(seconds, found):
    chat = Chat(tells_gone=False)
    signal = chat.says("#idea")
    first = chat.says("tp1", signal)
    chat.unposts(first, moderated=True)
    chat.post(chat.says("tp2", first, posted=False), late_by=seconds)
    assert [kind for kind, _ in chat.found()] == found


# ── deleted before the bot saw it ──


def test_below_a_message_that_was_never_seen_the_thread_goes_on(chat, thread):
    """Its answers are judged by the thread's first message, and hang on that one's post."""
    unseen = chat.says("closed", thread[2], posted=False)
    chat.deletes(unseen, seen=False, unposts=False)
    line = chat.says("no, not yet", unseen, posted=False)
    assert chat.found() == [("lost", line.key)]
    chat.post(line, under=thread[0])
    assert chat.found() == []
    chat.changes(line, reply_to=chat.of(thread[2]).id)  # who happened to know better is right, too
    assert chat.found() == []
    chat.changes(line, reply_to=chat.of(thread[1]).id)
    assert chat.found() == [("wrong_thread", line.key)]


def test_below_a_part_of_a_signals_album_the_signals_own_post_will_do(chat):
    """The thread begins with the part, the flow with the album's first one."""
    parts = chat.album(3)
    unseen = chat.says("closed", chat.says("tp1", parts[1]), posted=False)
    chat.deletes(unseen, seen=False, unposts=False)
    line = chat.says("no, not yet", unseen, under=parts[1])
    for right in (0, 1):
        chat.changes(line, reply_to=chat.of(parts[right]).id)
        assert chat.found() == []
    chat.changes(line, reply_to=chat.of(parts[2]).id)
    assert chat.found() == [("wrong_thread", line.key)]


def test_nobody_knows_the_album_that_an_unseen_part_was_of(chat, thread):
    parts = chat.album(3, thread[1])
    chat.posts = [post for post in chat.posts if post.key != parts[1].key]
    chat.deletes(parts[1], seen=False, unposts=False)
    line = chat.says("tp1", parts[1], under=thread[0])
    assert chat.found() == []
    chat.changes(line, reply_to=None)
    assert chat.found() == [("wrong_thread", line.key)]


def test_a_flow_whose_signal_was_never_seen_is_lost_as_a_whole_or_not_at_all(chat):
    signal = chat.says("#idea", posted=False)
    chat.deletes(signal, seen=False, unposts=False)
    lines = [chat.says("tp1", signal, posted=False)]
    lines.append(chat.says("tp2", lines[0], posted=False))
    assert chat.found() == []
    chat.recorded = {signal.id}  # it was quick enough after all
    assert chat.found() == [("lost", line.key) for line in lines]
    for line in lines:
        chat.post(line, under=line.parent if line.parent is not signal else None)
    assert chat.found() == []
    chat.recorded = set()
    assert {kind for kind, _ in chat.found()} == {"unwanted"}


def test_what_was_recorded_in_time_may_not_be_forgotten(chat):
    """Whatever the tables say in the end."""
    signal = chat.says("#idea")
    chat.deletes(signal)
    line = chat.says("tp1", signal, posted=False)
    assert chat.found() == [("lost", line.key)]


def test_an_album_whose_caption_was_never_seen_opens_no_flow(chat):
    parts = chat.album(3)
    chat.deletes(parts[0], seen=False)
    assert [kind for kind, _ in chat.found()] == ["unwanted", "unwanted"]
    chat.recorded = {part.id for part in parts}
    assert chat.found() == []


def test_an_updates_album_goes_on_without_its_first_part(chat, thread):
    parts = chat.album(3, thread[1])
    chat.deletes(parts[0], seen=False)
    assert chat.found() == []


def test_an_answer_to_a_stranger_who_was_never_seen_is_right_either_way(chat, thread):
    stranger = chat.says("and now?", thread[1], posted=False, by_owner=False)
    chat.deletes(stranger, seen=False, unposts=False)
    line = chat.says("now we wait", stranger, posted=False)
    assert chat.found() == []
    chat.recorded = {line.id}
    assert chat.found() == [("lost", line.key)]
    chat.refused = {stranger.id}  # refused and known as such: its answers go nowhere
    assert chat.found() == []


def test_the_tables_excuse_nothing_that_could_be_told_without_them(chat, thread):
    """An answer to a stranger who is still there is wrong, however well it was recorded."""
    stranger = chat.says("and now?", thread[1], posted=False, by_owner=False)
    line = chat.says("now we wait", stranger, posted=False)
    chat.post(line, under=thread[1])
    chat.recorded = {line.id, stranger.id}
    assert chat.found() == [("unwanted", line.key)]


def test_every_kind_of_wrong_is_counted(chat, thread):
    assert list(Expected(chat.lines, chat.posts).verdict()) == list(KINDS)


def test_where_nobody_says_what_a_thread_began_with_only_the_tables_know_who_was_quicker():
    """In a topic, and in a basic group."""
    chat = Chat(names_first=False)
    signal = chat.says("#idea")
    unseen = chat.says("closed", signal, posted=False)
    chat.deletes(unseen, seen=False, unposts=False)
    line = chat.says("no, not yet", unseen, posted=False)
    assert chat.found() == []
    chat.recorded.add(line.id)
    assert chat.found() == [("lost", line.key)]
    chat.post(line, under=signal)
    assert chat.found() == []
