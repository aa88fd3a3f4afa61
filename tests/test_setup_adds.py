"""`setup` where there is a bot already: another source or place, and nothing else, is in the file."""

from __future__ import annotations

import difflib
import tomllib
from contextlib import nullcontext

import pytest

from bot.config import Settings
from bot.errors import SettingsError
from bot.models import Address
from bot.phrases import translator
from bot.routes_file import Listed
from bot.setup import adding, env_file
from bot.setup.routes_text import Block, from_settings, with_place, with_source
from bot.setup.run import setup
from tests.loopback import API_HASH, API_ID
from tests.people import ALICE, BOB, GROUP, TARGET
from tests.setting_up import TOKEN, mode, setting_up
from tests.stage import Stage

SCALPS, SWINGS = -1002345678901, -1003456789012

FILE = """\
# how we run it, and why

[[source]]              # the old group
chat = -1001234567890   # Binance room
name = "majors"
allowed_users = [1001]
markers = [
  "#idea",   # theirs
  '''
[[source]]
''',
]

  [[source.place]]
  name = 'vip'
  chat = -1009876543210
    [source.place.only]
    pairs = ["BTC"]

# ── the quick ones ──
# nobody but Bob

[[source]]
name = "scalps"
chat = "-1002345678901#7"
allowed_users = "everyone"
[[source.place]]
chat = -1009876543210"""  # and no line end


PLACE = Block({"name": "desk", "chat": "-1003456789012#12"}, "the supergroup 'Desk'")
SOURCE = Block(
    {"name": "swings", "chat": -1003456789012, "allowed_users": [5, 6]},
    "the supergroup 'Sw\\u202e\"ings'",
    (Block({"chat": -1009876543210}),),
)


# ── the text ──────────────────────────────────────────────────────────────────


def test_a_source_goes_to_the_end_and_every_letter_before_it_stays():
    new = with_source(FILE, SOURCE)

    assert new.startswith(FILE + '\n\n[[source]]\nname = "swings"\nchat = -1003456789012  # ')
    assert [each["name"] for each in tomllib.loads(new)["source"]] == ["majors", "scalps", "swings"]
    assert new.endswith("  [[source.place]]\n  chat = -1009876543210\n")


def test_a_place_goes_behind_the_others_of_its_source_and_comments_stay_with_what_they_are_about():
    new = with_place(FILE, 0, PLACE)
    first, second = new.split("# ── the quick ones ──")

    assert first.startswith(FILE.split("\n\n# ── the quick", maxsplit=1)[0])
    added = first.removeprefix(FILE.split("\n\n# ── the quick", maxsplit=1)[0])
    assert added == (
        '\n\n  [[source.place]]\n  name = "desk"\n'
        "  chat = \"-1003456789012#12\"  # the supergroup 'Desk'\n\n"
    )
    assert second == FILE.split("# ── the quick ones ──")[1] + "\n"
    places = [each["place"] for each in tomllib.loads(new)["source"]]
    assert [len(each) for each in places] == [2, 1]
    assert len(tomllib.loads(with_place(FILE, 1, PLACE))["source"][1]["place"]) == 2


def test_a_file_of_windows_keeps_its_line_ends():
    new = with_source(FILE.replace("\n", "\r\n"), SOURCE)
    assert "\n" not in new.replace("\r\n", "")
    assert new == with_source(FILE, SOURCE).replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text",
    [
        'source = [{ name = "a", chat = -1, allowed_users = "everyone", place = [{ chat = -2 }] }]\n',
        '[["source"]]\nname = "a"\n  [["source"."place"]]\n[["source"]]\nname = "b"\n',
    ],
)
def test_a_file_in_another_style_is_refused_and_not_spoilt(text):
    with pytest.raises(SettingsError, match="written in a way"):
        with_place(text, 0, PLACE)


@pytest.mark.parametrize(
    "value", ['a "b" \\ c', "tab\t", "\x7f\u0085\u2028", "😀", "line\nline", ""]
)
def test_whatever_text_is_written_is_what_is_read(value):
    new = with_source("", Block({"name": value, "markers": [value, "x"], "on": True, "off": False}))
    (source,) = tomllib.loads(new)["source"]
    assert source == {"name": value, "markers": [value, "x"], "on": True, "off": False}


def test_the_one_route_of_the_settings_is_the_same_as_a_file(tmp_path):
    """Whatever is set, and what is not stays unsaid."""
    settings = Settings(
        _env_file=None,
        source_chat_id=GROUP,
        target_chat_id=(Address(TARGET), Address(SWINGS, 12)),
        source_allowed_users=f"{ALICE},{BOB}",
        signal_markers="#call,#idea",
        signal_patterns=r"(?i)\bbuy\b",
        flow_ttl_hours="4.5",
        flow_after_ttl="owner",
        relay_edits="false",
        relay_mentions="true",
    )
    text = with_source("", from_settings(settings, "main"))
    (moved,) = Listed(text).known({}).sources

    assert (moved.name, moved.chat, moved.permitted) == ("main", GROUP, {ALICE, BOB})
    assert [(each.chat, each.topic, each.mentions) for each in moved.places] == [
        (TARGET, 0, True),
        (SWINGS, 12, True),
    ]
    assert (moved.markers, moved.patterns) == (("#call", "#idea"), (r"(?i)\bbuy\b",))
    assert (moved.ttl, moved.after_ttl) == (settings.flow_ttl_hours, "owner")
    assert (moved.relay_edits, moved.relay_deletes) == (False, True)
    assert "relay_deletes" not in text


# ── the questions ─────────────────────────────────────────────────────────────


class Person:
    """Answers each question as scripted, and reads all that is said."""

    def __init__(self, *script):
        self.script = list(script)
        self.told = []

    def speaks(self, _language):
        pass

    def say(self, text="", _style=""):
        self.told.append(text)

    def working(self, _what):
        return nullcontext()

    async def ask(self, question, *, hidden=False):
        del hidden
        if not self.script:
            raise EOFError
        expected, answer = self.script.pop(0)
        assert question.startswith(expected), (question, self.told)
        return answer

    @property
    def text(self):
        return "\n".join(self.told)


class Russian(Person):
    """Hears all of it in Russian."""

    def say(self, text="", _style=""):
        self.told.append(translator("ru")(text))

    async def ask(self, question, *, hidden=False):
        self.say(question)
        return await super().ask(question, hidden=hidden)


class Place:
    """A bot that was set up, in a directory of its own."""

    def __init__(self, stage):
        self.stage = stage
        self.env = stage.directory / ".env"
        self.routes = stage.directory / "routes.toml"
        self.data = stage.directory / "data"
        self.says(
            f"# mine\nAPI_ID={API_ID}\nAPI_HASH={API_HASH}\nBOT_TOKEN={TOKEN}\n"
            f"ROUTES_FILE={self.routes}\nDATA_DIR={self.data}\n"
            f"SOURCE_CHAT_ID={stage.group.id}\nTARGET_CHAT_ID={stage.target.id}\n"
            f"SOURCE_ALLOWED_USERS={stage.alice.id}  # Alice\nFLOW_TTL_HOURS=5\nLOG_LEVEL=INFO\n"
        )

    def says(self, text):
        self.env.write_text(text)
        self.env.chmod(0o600)

    async def sets_up(self, *script, person=Person):
        person = person(*script)
        done = await setup(person, self.env, program="bot", hide=lambda _secrets: None)
        assert person.script == []
        return done, person.text

    @property
    def files(self):
        return {path.name: path.read_text() for path in (self.env, self.routes) if path.exists()}

    def reads(self):
        return Listed(self.routes.read_text()).known({}).sources


@pytest.fixture
def here(telegram, tmp_path):
    return Place(Stage(telegram, tmp_path, token=TOKEN))


def new_group(here, title="Scalps"):
    stage = here.stage
    group = stage.telegram.supergroup(title, members=[stage.alice, stage.bob])
    group.members[stage.bot.account] = stage.telegram.channel("x", admins=[stage.bot]).members[
        stage.bot.account
    ]
    return group


def adds_a_source(here, group, write="y", **more):
    return (
        ("Number [1]:", "2"),
        *more.get("moved", [("What is it to be called [main]:", "majors")]),
        ("What is the new source to be called:", "Scalps!"),
        ("What is the new source to be called:", "majors"),
        ("What is the new source to be called:", "scalps"),
        ("Chat:", str(group.id)),
        ("Only one topic of it?", ""),
        ("Who:", str(here.stage.bob.id)),
        ("Chat:", str(here.stage.target.id)),
        ("What is that place to be called [by its chat]:", "vip"),
        ("Write it? [Y/n]", write),
    )


async def test_the_first_source_that_is_added_brings_the_one_of_the_settings_along(here):
    """And the settings that say the same go, with all else as it was."""
    group = new_group(here)
    done, told = await here.sets_up(*adds_a_source(here, group))

    assert done
    majors, scalps = here.reads()
    assert (majors.name, majors.chat, majors.ttl.total_seconds()) == (
        "majors",
        here.stage.group.id,
        5 * 3600,
    )
    assert (scalps.name, scalps.chat, scalps.permitted) == (
        "scalps",
        group.id,
        {here.stage.bob.id},
    )
    assert [each.label for each in scalps.places] == ["vip"]
    assert here.files[".env"] == (
        f"# mine\nAPI_ID={API_ID}\nAPI_HASH={API_HASH}\nBOT_TOKEN={TOKEN}\n"
        f"ROUTES_FILE={here.routes}\nDATA_DIR={here.data}\nLOG_LEVEL=INFO\n"
    )
    assert mode(here.routes) == 0o600
    assert "What it says of that moves to" in told
    assert "'majors' is taken already" in told
    assert TOKEN not in told


async def test_a_source_is_added_in_russian(here):
    _, told = await here.sets_up(*adds_a_source(here, new_group(here)), person=Russian)

    for text in (
        "Что сделать? 1: изменить настройки, 2: добавить источник",
        "Пока единственный источник назван в",
        "Как назвать новый источник:",
        "'majors' уже занято: до 32 строчных латинских букв",
        "Где его сигналы?",
        "Только одну его тему? Её номер [нет]:",
        "Куда их публиковать?",
        "Записать? [Д/н]",
        "в нём теперь scalps. Перезапустите бота",
    ):
        assert text in told, (text, told)


async def test_who_says_no_or_breaks_off_has_changed_nothing(here):
    group, before = new_group(here), here.files
    script = adds_a_source(here, group, "n")
    assert (await here.sets_up(*script))[0] is False
    assert here.files == before
    for end in range(1, len(script)):
        with pytest.raises(EOFError):
            await here.sets_up(*script[:end])
        assert here.files == before


async def test_a_place_is_added_to_the_source_that_is_named_and_all_else_stays(here):
    group = new_group(here)
    await here.sets_up(*adds_a_source(here, group))
    here.routes.write_text("# ours\n" + here.routes.read_text())
    here.routes.chmod(0o640)
    before = here.routes.read_text().splitlines()
    other = here.stage.telegram.channel("Other", admins=[here.stage.bot])
    done, told = await here.sets_up(
        ("Number [1]:", "4"),
        ("Number [1]:", "3"),
        ("Of which source:", "3"),
        ("Of which source:", "1"),
        ("Chat:", str(other.id)),
        ("What is that place to be called [by its chat]:", ""),
        ("Write it? [Y/n]", "y"),
    )

    assert done
    assert [[each.chat for each in source.places] for source in here.reads()] == [
        [here.stage.target.id, other.id],
        [here.stage.target.id],
    ]
    changes = difflib.ndiff(before, here.routes.read_text().splitlines())
    assert [line for line in changes if line.startswith("- ")] == []
    assert mode(here.routes) == 0o640
    assert "where all else stays" in told


async def test_what_the_reader_refuses_is_not_written(here):
    """A ring: what is posted would be read."""
    group = new_group(here)
    await here.sets_up(*adds_a_source(here, group))
    before = here.files
    with pytest.raises(SettingsError, match=r"with that, .*this is a ring"):
        await here.sets_up(
            ("Number [1]:", "3"),
            ("Of which source:", "scalps"),
            ("Chat:", str(group.id)),
            ("Only one topic of it?", ""),
            ("What is that place to be called [by its chat]:", ""),
        )
    assert here.files == before


class Killed(BaseException):
    """Between two files."""


@pytest.mark.parametrize("survives", [0, 1, 2])
async def test_whoever_is_killed_between_the_files_has_lost_nothing_and_goes_on(here, survives):
    """With a webhook, too, whose secret has another name in the file of routes."""
    secret = "whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
    here.says(
        here.env.read_text() + f"WEBHOOK_URL=https://example.org/hook\nWEBHOOK_SECRET={secret}\n"
    )
    before = here.files
    files = adding.configured(here.env)
    text = with_source("", from_settings(files.settings, "main"))
    written = []

    def write(path, text):
        if len(written) == survives:
            raise Killed
        written.append(path)
        env_file.write(path, text)

    with pytest.raises(Killed):
        adding.save(files, text, write=write)

    kept = env_file.values(here.env.read_text())
    assert env_file.values(before[".env"]).items() <= kept.items()
    if survives == 2:  # the new file is there, and the old settings are
        done, told = await here.sets_up(("Take them out of", "y"))
        assert done
        assert "The bot does not start with both." in told
        settings = Settings.load({}, env_file=here.env)
        assert settings.source_chat_id is None
        assert settings.place_secrets["WEBHOOK_SECRET_WEBHOOK"].get_secret_value() == secret
        assert here.routes.read_text() == text
    else:
        assert "routes.toml" not in here.files


async def test_a_source_of_the_settings_that_no_file_has_is_not_dropped_by_the_way(here):
    here.routes.write_text(
        f'[[source]]\nname = "a"\nchat = {SCALPS}\nallowed_users = "everyone"\n'
        f"  [[source.place]]\n  chat = {SWINGS}\n"
    )
    before = here.files
    done, told = await here.sets_up(("Take them out of", ""))
    assert (done, here.files) == (False, before)
    assert "But the source of" in told


async def test_with_a_file_the_settings_are_changed_and_no_chat_is_asked_for(here):
    await here.sets_up(*adds_a_source(here, new_group(here)))
    done, _ = await here.sets_up(
        ("Number [1]:", ""),
        (f"API id [{API_ID}]:", ""),
        *SECRETS,
        ("Who:", str(here.stage.carol.id)),
        ("Write it? [Y/n]", "y"),
    )
    assert done
    assert f"ADMIN_USERS={here.stage.carol.id}\n" in here.files[".env"]
    assert "SOURCE_CHAT_ID" not in here.files[".env"]


SECRETS = (("API hash", ""), ("Token", ""))


@pytest.mark.heavy
async def test_a_bot_to_which_a_source_was_added_relays_both(telegram, tmp_path):
    """At a terminal, with the files where they usually are."""
    here = Place(Stage(telegram, tmp_path, token=TOKEN))
    stage, group = here.stage, new_group(here)
    lines = here.env.read_text().splitlines(keepends=True)
    here.says("".join(line for line in lines if "ROUTES_FILE" not in line))
    async with setting_up(stage) as screen:
        for question, answer in adds_a_source(here, group):
            await screen.answers(question, answer)
        await screen.shows("wrote routes.toml: scalps is in it.")
        assert await screen.ends() == 0

    program = await telegram.run(["-m", "bot"], cwd=stage.directory)
    await program.wait_output('"started"', timeout=30)
    await stage.alice.sends(stage.group, "#idea BTC/USDT LONG")
    await stage.bob.sends(group, "#idea ETH/USDT LONG")
    await telegram.wait_for(lambda: len(stage.posted()) == 2, timeout=20)
    program.terminate()
    assert await program.wait() == 0, program.output
    assert {each.text for each in stage.posted()} == {"#idea BTC/USDT LONG", "#idea ETH/USDT LONG"}
