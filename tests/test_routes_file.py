"""`routes.toml`: what it may say, and what is said of each thing that is wrong in it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.config import Settings
from bot.errors import SettingsError
from bot.known_routes import read_routes
from bot.models import AfterTtl, Answers
from bot.routes import Place, Routes, Source
from bot.routes_file import Listed
from bot.rules.presentation import Presentation
from tests import wiring

MAJORS, SCALPS, VIP, FORUM = (-1001000000000 - number for number in range(1, 5))
WHOLE = f"""
# Два источника, один канал
[[source]]
name = "majors"
chat = {MAJORS}
allowed_users = [7000000001, {VIP}]
ttl_hours = 1.5
after_ttl = "owner"
markers = ["#идея", "#idea"]
patterns = ['(?m)^[A-Z]+ LONG$']
relay_edits = false
relay_deletes = false
relay_mentions = true
answers = "relay"

  [[source.place]]
  chat = {VIP}
  name = "vip"

  [[source.place]]
  chat = "{FORUM}#12"
  footer = "by {{author}}"
  remove_links = true

[[source]]
name = "scalps"
chat = "{SCALPS}#7"
allowed_users = "everyone"
  [[source.place]]
  chat = {VIP}
"""


def listed(text):
    return Listed(text).known({})


def source(name, chat, *places, more=""):
    tables = "".join(f"[[source.place]]\nchat = {place!r}\n" for place in places)
    return (
        f'[[source]]\nname = "{name}"\nchat = {chat!r}\nallowed_users = "everyone"\n{more}{tables}'
    )


ONE = source("one", MAJORS, VIP)


def test_everything_that_a_source_and_a_place_may_say():
    shown = Presentation(footer="by {author}", remove_links=True)
    places = (
        Place(VIP, name="vip", mentions=True, source="majors"),
        Place(FORUM, 12, mentions=True, source="majors", presentation=shown),
    )
    majors = Source(
        "majors",
        MAJORS,
        places=places,
        markers=("#идея", "#idea"),
        patterns=("(?m)^[A-Z]+ LONG$",),
        permitted=frozenset({7000000001, VIP}),
        ttl=timedelta(minutes=90),
        after_ttl=AfterTtl.OWNER,
        relay_edits=False,
        relay_deletes=False,
        answers=Answers.RELAY,
    )
    scalps = Source("scalps", SCALPS, 7, places=(Place(VIP, source="scalps"),))

    assert listed(WHOLE).sources == (majors, scalps)


@pytest.mark.parametrize(
    ("written", "chat", "topic"),
    [
        (f'"{MAJORS}"', MAJORS, None),
        (f'"{MAJORS}#3"', MAJORS, 3),
        ('"@Signals_of_Ann"', -100777, None),
        ('"@signals_of_ann#3"', -100777, 3),
        ('"https://t.me/signals_of_ann"', -100777, None),
        ('"t.me/signals_of_ann#3"', -100777, 3),
        ('"https://t.me/c/1000000001"', MAJORS, None),
        ('"https://t.me/c/1000000001#3"', MAJORS, 3),
    ],
)
def test_a_chat_is_named_as_people_have_it(written, chat, topic):
    found = Listed(ONE.replace(f"chat = {MAJORS}", f"chat = {written}"))
    (only,) = found.known(dict.fromkeys(found.names, -100777)).sources
    assert (only.chat, only.topic) == (chat, topic)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("ttl_hours", "ttl_hour", 7, "ttl_hour is no key of a source: did you mean ttl_hours?"),
        ('name = "vip"', 'nmae = "vip"', 18, "nmae is no key of a place: did you mean name?"),
        ('[[source]]\nname = "majors"', 'x = 1\n[[source]]\nname = "majors"', 3, "x is no key outside of a [[source]]"),
        (f"chat = {MAJORS}", "chat = -1x", 5, "this is no TOML"),
        (f"chat = {MAJORS}", 'chat = "-1x"', 5, "chat: '-1x' is not a Telegram id"),
        (f"chat = {MAJORS}", "chat = true", 5, "chat: give an id such as"),
        (f"chat = {MAJORS}", 'chat = "-5#3"', 5, "only a supergroup"),
        (f"chat = {MAJORS}", 'chat = "https://example.org/x"', 5, "that is not a chat"),
        (f"chat = {MAJORS}\n", "", 3, "chat is missing: chat = an id"),
        (f'chat = "{FORUM}#12"', "", 20, "chat is missing"),
        ('name = "majors"\n', "", 3, "name is missing"),
        ('name = "majors"', 'name = "Big ones"', 4, "name: give up to 32 small letters"),
        ('name = "scalps"', 'name = "vip"', 26, "vip is the name of line 18: take another"),
        (f"allowed_users = [7000000001, {VIP}]\n", "", 3, "allowed_users is missing"),
        (f"[7000000001, {VIP}]", "[]", 6, "allowed_users: give the ids"),
        (f"[7000000001, {VIP}]", '"all"', 6, "allowed_users: give the ids"),
        ("1.5", "0", 7, "ttl_hours: '0' is not a number of hours above 0"),
        ("1.5", "true", 7, "ttl_hours: 'True' is not a number"),
        ('"owner"', '"keep"', 8, 'after_ttl: give "release" or "owner"'),
        ('["#идея", "#idea"]', '"#idea"', 9, "markers: give texts in brackets"),
        ('["#идея", "#idea"]', "[]", 9, "markers: one of them is empty"),
        ("(?m)^[A-Z]+ LONG$", "(?=x)", 10, "RE2, which has no look-around"),
        ("relay_edits = false", 'relay_edits = "no"', 11, "relay_edits: give true or false"),
        ('"relay"', '"yes"', 14, 'answers: give "ignore" or "relay"'),
        ("remove_links = true", 'remove_links = "yes"', 23, "remove_links: write true or false"),
        ("by {author}", "by {autor}", 22, "autor"),
        (f"{FORUM}#12", str(VIP), 21, f"{VIP} is a place of majors in line 17 already"),
        (f"{SCALPS}#7", str(MAJORS), 27, f"{MAJORS} is read in line 5 already"),
        (f"{SCALPS}#7", f"{MAJORS}#7", 27, f"{MAJORS} is read as a whole, too"),
        (f"chat = {VIP}\n  name", f"chat = {MAJORS}\n  name", 17, "this is a ring, majors → vip → majors"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line_and_the_mend(old, new, line, said):
    assert old in WHOLE
    with pytest.raises(SettingsError) as refused:
        listed(WHOLE.replace(old, new, 1))
    (only,) = str(refused.value).splitlines()
    assert only.startswith(f"routes.toml, line {line}: ")
    assert said in only


def test_all_faults_are_told_at_once_in_their_order():
    wrong = WHOLE.replace("ttl_hours", "ttl").replace('"everyone"', "1").replace("1.5", "0")
    with pytest.raises(SettingsError) as refused:
        listed(wrong)
    lines = [line.split(":")[0] for line in str(refused.value).splitlines()]
    assert lines == ["routes.toml, line 7", "routes.toml, line 28"]


@pytest.mark.parametrize("text", ["", "# nothing", "source = 1", "[source]\nname = 'x'"])
def test_a_file_without_a_source_says_nothing_and_is_refused(text):
    with pytest.raises(SettingsError, match=r"routes.toml, line 1: "):
        listed(text)


def test_a_source_without_a_place_goes_nowhere_and_is_refused():
    with pytest.raises(SettingsError, match="line 1: it has no"):
        listed(source("one", MAJORS))


def test_words_of_several_lines_are_no_keys():
    text = source("one", MAJORS, VIP, more='patterns = ["""\nname = x\n[[source]]\n"""]\n')
    with pytest.raises(SettingsError, match="line 11: nmae is no key of a place"):
        listed(f'{text}nmae = "x"\n'.replace("[[source.place]]\n", "[[source.place]]\n"))


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_a_ring_is_refused_over_any_number_of_steps(steps):
    chats = [MAJORS - 10 * number for number in range(steps)]
    around = zip(chats, [*chats[1:], chats[0]], strict=True)
    text = "".join(source(f"s{number}", *pair) for number, pair in enumerate(around))
    with pytest.raises(SettingsError, match=r"line \d+: this is a ring, s0 → ") as refused:
        listed(text)
    assert len(str(refused.value).splitlines()) == steps

    last = text.rindex(str(chats[0]))
    open_end = text[:last] + str(VIP) + text[last + len(str(chats[0])) :]
    if steps > 1:
        assert len(listed(open_end).sources) == steps  # a way that goes on and ends is none


def test_a_topic_beside_the_one_that_is_read_is_no_ring():
    assert listed(source("one", f"{FORUM}#3", f"{FORUM}#4")).chats == (FORUM,)
    with pytest.raises(SettingsError, match="this is a ring"):
        listed(source("one", f"{FORUM}#1", FORUM))  # General


def test_two_names_of_one_chat_are_found_out_when_they_are_known():
    text = source("one", "@anna", VIP) + source("two", MAJORS, VIP)
    found = Listed(text)
    assert (found.names, found.where("anna")) == (("anna",), "routes.toml, line 3")
    with pytest.raises(SettingsError, match="is read in line 3 already"):
        found.known({"anna": MAJORS})


# ── beside the settings ──


@pytest.fixture
def settings(tmp_path):
    def settings(**given):
        return Settings(_env_file=None, routes_file=tmp_path / "routes.toml", **given)

    return settings


def test_without_the_file_the_settings_are_one_route():
    given = wiring.settings(source_chat_id=MAJORS, target_chat_id=f"{VIP},{FORUM}#12")
    routes = read_routes(given)
    assert isinstance(routes, Routes)
    (only,) = routes.sources
    assert (only.name, only.chat, only.where) == ("main", MAJORS, str(MAJORS))
    assert [place.label for place in only.places] == [str(VIP), f"{FORUM}#12"]


def test_a_file_that_is_named_must_be_there(settings):
    with pytest.raises(SettingsError, match="ROUTES_FILE: there is no"):
        read_routes(settings())


def test_the_file_and_the_settings_that_say_the_same_are_refused_together(settings):
    """One of them would be in vain, and nobody would be told which."""
    given = settings(source_chat_id=MAJORS, flow_ttl_hours=timedelta(hours=3))
    given.routes.write_text(ONE, "utf-8")
    with pytest.raises(SettingsError, match=r"take SOURCE_CHAT_ID, FLOW_TTL_HOURS out of \.env"):
        read_routes(given)
    # But an option of a command is for that command.
    assert isinstance(read_routes(given, instead=["source_chat_id", "flow_ttl_hours"]), Listed)


# ── the file itself ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (WHOLE.encode("utf-16"), "it is UTF-16 text or none: save it as UTF-8"),
        (WHOLE.encode() + b"\0", "it is UTF-16 text or none: save it as UTF-8"),
        (WHOLE.encode("cp1251"), "line 2 is not UTF-8 text: save the file as UTF-8"),
        (None, "it is a directory: put a file in its place"),
    ],
)
def test_a_file_that_is_no_text_is_named_with_the_mend(tmp_path, content, complaint):
    """As `.env` is: an operator may have written it on any system, with any editor."""
    path = tmp_path / "routes.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)

    with pytest.raises(SettingsError) as refused:
        read_routes(wiring.settings(routes_file=path))

    assert str(refused.value) == f"{path}: cannot be read: {complaint}"


def test_a_file_as_windows_writes_it_says_the_same(tmp_path):
    """With a mark before it, and its ends of lines."""
    path = tmp_path / "routes.toml"
    path.write_bytes(b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode())

    assert read_routes(wiring.settings(routes_file=path)).known({}) == listed(WHOLE)
