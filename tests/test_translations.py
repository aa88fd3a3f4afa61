"""A place that is translated, from the message to the post, with a service on loopback and whatever it does."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from bot.admin import explain
from bot.app import open_core
from bot.config import Settings
from bot.delivery.libretranslate import LibreTranslate
from bot.delivery.progress import Places
from bot.delivery.relay import Relay
from bot.delivery.relays import Relays
from bot.delivery.translations import Translations
from bot.delivery.worker import Watches
from bot.endpoints import Translation
from bot.errors import NotTranslated, RetryLater, SettingsError
from bot.history.replay import SummaryReport, Trial, translated_places
from bot.known_routes import read_routes
from bot.models import Content, Entity, Media
from bot.phrases import translator
from bot.posts import Method
from bot.queues import Queues
from bot.routes import Place
from bot.routes_file import Listed
from bot.rules.presentation import Presentation
from bot.rules.render import cut
from bot.setup.check import Verdict, of_translation
from bot.sink_keys import Sinks
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests import wiring
from tests.alerts import Watch
from tests.carried_over import Target, go_on
from tests.changing import Afternoon
from tests.people import ALICE, GROUP, NOON, TARGET, says
from tests.resolver import Names
from tests.rows import sql
from tests.translator import KEY, Translator

pytestmark = pytest.mark.long

OTHER_GROUP, OTHER_TARGET = GROUP - 1, TARGET - 1
ORIGINAL = "(original, not translated)\n"
PHOTO = Media("photo", "photo:1:2:00")


def table(name, chat, *places):
    return f'[[source]]\nname = "{name}"\nchat = {chat}\nallowed_users = "everyone"\n' + "".join(
        f"[[source.place]]\nchat = {place}\n{more}\n" for place, more in places
    )


def translated(url, more="", to="en"):
    return f'translate = {{ to = "{to}", url = "{url}"{more} }}'


def listed(text, data_dir, key=None):
    sinks = Sinks({}, data_dir, key and SecretStr(key))
    return Listed(text, sinks=sinks).known({})


class Clock:
    """Time passes where somebody waits for it."""

    def __init__(self):
        self.now = 1_000.0
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class Bot:
    """What records, translates and posts, without Telegram; each when a test says so."""

    def __init__(self, core, target, stack):
        self.core, self.target = core, target
        self.clock, self.alerts = Clock(), []
        self.relays = {
            chat: Relay(core.store, target, chat, jitter=lambda: 0.0)
            for chat in core.routes.targets
        }
        self.places = {}
        for place in core.routes.places:
            if how := place.presentation.translate:
                service = LibreTranslate(how, clock=lambda: float(NOON))
                stack.push_async_callback(service.close)
                self.places[place.label] = Translations(
                    core.store,
                    service,
                    place,
                    how,
                    done=self.relays[place.chat].wake,
                    told=lambda *told: self.alerts.append(told),
                    sleep=self.clock.sleep,
                    clock=self.clock,
                )

    async def hears(self, text, *, to=None, **more):
        message = says(ALICE, text, to=to, **more)
        await self.core.intake.take([message])
        return message

    async def edits(self, message, text, **more):
        await self.core.intake.edited(replace(message, text=text, edited_at=NOON + 9, **more))

    async def translates(self):
        for each in self.places.values():
            while await each.translate_next():
                pass

    async def posts(self):
        for relay in self.relays.values():
            while await relay.post_next() is not None:
                pass

    async def goes_on(self):
        await self.translates()
        await self.posts()

    def shows(self, chat=TARGET):
        return [row[2] for row in self.target.rows() if row[0] == chat]

    async def why(self, message):
        settings = wiring.settings(source_chat_id=message.chat_id)
        rows = await explain.why(
            self.core.store, settings, str(message.id), now=NOON, routes=self.core.routes
        )
        return "\n".join(" ".join(row) for row in rows)


@asynccontextmanager
async def bot(text, data_dir, *, target=None, key=None):
    settings = wiring.settings(data_dir=data_dir)
    async with (
        open_core(settings, listed(text, data_dir, key), in_loop=True) as core,
        AsyncExitStack() as stack,
    ):
        yield Bot(core, target or Target(), stack)


def two_places(service):
    """The one in English, the other as it is."""
    places = (TARGET, translated(service.url)), (OTHER_TARGET, "")
    return table("majors", GROUP, *places)


# ── what is asked and posted ──


async def test_a_place_reads_its_language_and_another_the_original(tmp_path):
    """Threads and frames are as they would be; the key is told to the service."""
    text = "{pair}"
    async with Translator(key=KEY) as service:
        rules = table(
            "majors",
            GROUP,
            (TARGET, translated(service.url + "/") + f'\nheader = "Пара {text}"'),
            (OTHER_TARGET, ""),
        )
        async with bot(rules, tmp_path, key=KEY) as relay:
            signal = await relay.hears("#idea BTC/USDT вход 64000")
            await relay.hears("стоп 62000", to=signal)
            await relay.goes_on()
            shown = relay.target.rows()

    assert [(row[2], row[6]) for row in shown if row[0] == TARGET] == [
        ("Пара BTC/USDT\n#idea BTC/USDT vhod 64000", None),
        ("Пара BTC/USDT\nstop 62000", shown[-2][1]),
    ]
    assert relay.shows(OTHER_TARGET) == ["#idea BTC/USDT вход 64000", "стоп 62000"]
    assert service.asked[0] == {
        "q": "#idea BTC/USDT вход 64000",
        "source": "auto",
        "target": "en",
        "format": "text",
        "api_key": KEY,
    }
    assert len(service.asked) == 2
    assert relay.alerts == []


async def test_what_has_no_words_is_not_asked_about_and_keeps_its_place_in_line(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        signal = await relay.hears("#idea вход")
        await relay.hears("BTC +5%", to=signal)
        await relay.hears("", to=signal, media=PHOTO)
        await relay.posts()
        assert relay.shows() == []
        await relay.goes_on()

    assert relay.shows() == ["#idea vhod", "BTC +5%", ""]
    assert service.texts == ["#idea вход"]


async def test_an_album_waits_for_its_caption(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        first = says(ALICE, "", media=PHOTO, album_id=5)
        second = says(ALICE, "#idea вход", media=Media("photo", "photo:2:2:00"), album_id=5)
        await relay.core.intake.take([first, second])
        await relay.posts()
        assert relay.shows() == []
        await relay.goes_on()

    assert relay.shows() == ["", "#idea vhod"]


async def test_a_text_that_becomes_longer_or_shorter_has_as_many_posts_as_it_needs(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        signal = await relay.hears("#idea " + "ща " * 1_360)
        await relay.goes_on()
        assert [len(each) for each in relay.shows()] == [4096, 2709]
        assert relay.shows(OTHER_TARGET) == ["#idea " + "ща " * 1_360]
        await relay.edits(signal, "#idea ща")
        await relay.goes_on()
        assert relay.shows() == ["#idea scha"]


# ── again and again the same ──


@pytest.mark.parametrize("how", ["crash before", "no answer", "restart", "retry"])
async def test_what_is_sent_again_is_the_same_text(tmp_path, how):
    """The service would say something else by then; it is not asked."""
    target = Target()
    async with Translator() as service:
        rules = two_places(service)
        async with bot(rules, tmp_path, target=target) as relay:
            await relay.hears("#idea вход")
            await relay.translates()
            if how == "crash before":  # taken, and not sent
                assert await relay.core.store.take_posts(TARGET)
            if how in {"no answer", "retry"}:
                target.loses = {"vhod"}
                (taken,) = await relay.core.store.take_posts(TARGET)
                with suppress(RetryLater):
                    await relay.relays[TARGET].deliver([taken])
                target.loses = set()
            if how == "retry":
                await relay.core.store.post_failed(taken, "400")
                await relay.core.store.retry(taken.id)
        service.answers = {"#idea вход": "#idea entrance"}
        async with bot(rules, tmp_path, target=target) as relay:
            await relay.goes_on()
            assert relay.shows() == ["#idea vhod"]

    assert len(service.asked) == 1


async def test_what_was_not_translated_before_a_crash_is_translated_after_it(tmp_path):
    """Taken or not: nothing is in doubt of which nothing was sent, so a deletion sends nothing."""
    async with Translator() as service:
        rules = two_places(service)
        async with bot(rules, tmp_path) as relay:
            first = await relay.hears("#idea вход")
            await relay.hears("#idea выход")
            assert await relay.core.store.take_posts(TARGET) == []
            await relay.core.store.delete(GROUP, [first.id])
        async with bot(rules, tmp_path) as relay:
            await relay.goes_on()
            assert relay.shows() == ["#idea vyhod"]
            assert relay.shows(OTHER_TARGET) == ["#idea выход"]
            assert len(relay.target.taken) == 2  # so nothing was sent to be deleted

    assert service.texts == ["#idea выход"]


async def test_an_edit_is_translated_again_and_one_that_changes_nothing_there_is_not(tmp_path):
    async with Translator() as service:
        rules = table(
            "majors", GROUP, (TARGET, translated(service.url) + "\nstrip_lines = ['VIP']")
        )
        async with bot(rules, tmp_path) as relay:
            signal = await relay.hears("#idea вход 64000")
            await relay.goes_on()
            await relay.edits(signal, "#idea вход 64000\nVIP внизу")
            await relay.goes_on()
            assert len(service.asked) == 1
            await relay.edits(signal, "#idea вход 63000")
            await relay.posts()
            assert relay.shows() == ["#idea vhod 64000"]
            await relay.goes_on()
            assert relay.shows() == ["#idea vhod 63000"]

    assert len(service.asked) == 2


async def test_an_edit_at_the_end_of_a_long_text_reaches_its_later_parts(tmp_path):
    """Also where the translation says what the original said."""
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        long = "#idea " + "word " * 900
        signal = await relay.hears(long)
        await relay.goes_on()
        await relay.edits(signal, long + "the end")
        await relay.goes_on()
        assert "".join(relay.shows()) == long + "the end"


async def test_an_edit_that_comes_during_the_translation_wins(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        signal = await relay.hears("#idea вход 1")
        service.fates.append("hang")
        running = asyncio.ensure_future(relay.places[str(TARGET)].translate_next())
        await service.began.wait()
        await relay.edits(signal, "#idea вход 2")
        service.gone.set()
        await running
        await relay.goes_on()
        assert relay.shows() == ["#idea vhod 2"]


async def test_an_edit_of_what_is_being_sent_is_translated_once_that_stands(tmp_path):
    """Also where nobody says so: the service is slow with another message then."""
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        place, store = relay.places[str(TARGET)], relay.core.store
        signal = await relay.hears("#idea вход")
        await relay.translates()
        (sending,) = await store.take_posts(TARGET)
        service.fates.append("hang")
        await relay.hears("стоп", to=signal)
        running = asyncio.ensure_future(place.run())
        await service.began.wait()
        await relay.edits(signal, "#idea выход")
        place.wake()
        for _ in range(50):  # it looks for edits, and there are none yet
            await asyncio.sleep(0)
        await relay.relays[TARGET].deliver([sending])
        service.gone.set()
        async with asyncio.timeout(30):
            while not (edits := await store.take_posts(TARGET, Method.EDIT)):
                await asyncio.sleep(0)
        place.stop()
        await running

    assert [each.text for each in edits] == ["#idea vyhod"]


async def test_a_photo_that_is_refused_leaves_the_translated_words(tmp_path):
    """And they are not asked for again."""
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        await relay.hears("#idea " + "вход " * 150, media=PHOTO)
        await relay.translates()
        post = (await relay.core.store.take_posts(TARGET))[0]
        without = replace(post, media=None, note="posted without its photo: no photos")
        less = await relay.core.store.post_lightened(without, bare=True)
        assert less.text.startswith("#idea vhod vhod")
        assert less.media is None
        assert await relay.core.store.take_posts(TARGET, Method.EDIT) == []

    assert len(service.asked) == 1


async def test_a_place_that_is_translated_no_more_posts_the_original(tmp_path):
    """Of what was recorded before, too."""
    async with Translator() as service:
        async with bot(two_places(service), tmp_path) as relay:
            signal = await relay.hears("#idea вход")
        async with bot(table("majors", GROUP, (TARGET, "")), tmp_path) as relay:
            await relay.posts()
            assert relay.shows() == ["#idea вход"]
            assert "in the original: its place had no `translate` any more" in await relay.why(
                signal
            )

    assert service.asked == []


async def test_translate_that_is_taken_out_of_a_running_bot_ends_its_queue_and_frees_what_waits(
    tmp_path,
):
    """What was recorded goes out in the original at once, although the service is silent still."""
    async with Translator() as service, AsyncExitStack() as stack:
        rules = table("majors", GROUP, (TARGET, translated(service.url, ', wait = "60s"')))
        relay = await stack.enter_async_context(bot(rules, tmp_path))
        service.fates.append("hang")
        store, routes = relay.core.store, relay.core.routes
        watch = Watches(())
        queues = Queues(store, relay.target, watch=lambda _: watch, told=print, services=None)
        relays = Relays(routes, queues.wanted, Places(routes.queues), reread=print)
        running = asyncio.create_task(relays.run())
        signal = await relay.hears("#idea вход")
        relays.wake()
        await service.began.wait()
        await relay.core.follow(listed(table("majors", GROUP, (TARGET, "")), tmp_path))
        relays.follow(relay.core.routes)
        async with asyncio.timeout(20):
            await service.left.wait()
            while relay.shows() != ["#idea вход"]:
                await asyncio.sleep(0)
        assert "in the original: its place had no `translate` any more" in await relay.why(signal)
        relays.stop()
        await running

    assert len(service.asked) == 1


async def test_a_place_that_comes_back_has_what_waited_for_it_translated(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        await relay.hears("#idea вход")
        await relay.core.follow(listed(table("majors", GROUP, (OTHER_TARGET, "")), tmp_path))
        await relay.goes_on()
        await relay.core.follow(listed(two_places(service), tmp_path))
        await relay.goes_on()
        assert relay.shows() == ["#idea vhod"]


# ── troubles ──

BOUNDED = {
    "500": ([500] * 99, "answered 500 (Slow down)"),
    "cut": (["cut"] * 99, "gave no answer"),
    "redirect": (["redirect"], "answered 307: redirects are not followed"),
    "html": (["<html>Cloudflare</html>"], "not what LibreTranslate says"),
    "endless": (["endless"], "answer is too long"),
    "half a character": (['{"translatedText": "\\ud83d 1"}'], "other numbers"),
    "links": (['{"translatedText": "#idea entry 64000 t.me/scam"}'], "other links"),
}
REFUSED = {
    "wrong": (400, "answered 400 (Slow down)"),
    "the key": (403, "answered 403 (Slow down): look at TRANSLATE_API_KEY in .env"),
    "a list": ("[1]", "not what LibreTranslate says"),
    "a number": ('{"translatedText": 5}', "not what LibreTranslate says"),
    "none": ('{"translatedText": null}', "not what LibreTranslate says"),
    "nested": ("[" * 100_000, "not what LibreTranslate says"),
    "huge": ('{"translatedText": "' + "x " * 200_000 + '"}', "answer is too long"),
    "packed": ("packed", "answer is packed"),
}


@pytest.mark.parametrize("trouble", REFUSED)
async def test_an_answer_that_is_none_is_named_in_one_line(trouble):
    fate, why = REFUSED[trouble]
    async with Translator() as server:
        server.fates.append(fate)
        service = LibreTranslate(Translation("en", server.url))
        with pytest.raises(NotTranslated) as found:
            await service.translate("вход")
        assert await service.translate("вход") == "vhod"
        await service.close()
    assert why in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("trouble", BOUNDED)
async def test_whatever_the_service_does_the_original_is_posted_and_says_so(tmp_path, trouble):
    """The operators are told, and `why` says it. The next one is translated."""
    fates, why = BOUNDED[trouble]
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        service.fates.extend(fates)
        signal = await relay.hears("#idea вход 64000", entities=(Entity("bold", 0, 5),))
        await relay.goes_on()
        service.fates.clear()
        await relay.hears("стоп 62000", to=signal)
        await relay.goes_on()
        story = await relay.why(signal)

    assert relay.shows() == [f"{ORIGINAL}#idea вход 64000", "stop 62000"]
    bold = json.loads(relay.target.rows()[2][3])
    assert [(each["type"], each["offset"]) for each in bold] == [("bold", 27)]
    ((chat, place, told),) = relay.alerts
    assert (chat, place) == (TARGET, str(TARGET))
    assert why in told
    assert f"in the original: {told[:40]}" in story
    assert sum(relay.clock.slept) < 10
    assert service.elsewhere == 0


async def test_a_service_that_does_not_answer_is_waited_for_in_bounded_time(tmp_path):
    """And after that for less, until it answers again or a minute has passed."""
    async with Translator() as service:
        rules = table("majors", GROUP, (TARGET, translated(service.url, ', wait = "1s"')))
        async with bot(rules, tmp_path) as relay:
            service.fates.extend(["hang"] * 2)
            signal = await relay.hears("#idea 1 вход")
            await relay.hears("2 стоп", to=signal)
            async with asyncio.timeout(15):
                await relay.goes_on()
            await relay.hears("3 стоп", to=signal)
            await relay.goes_on()

    assert relay.shows() == [f"{ORIGINAL}#idea 1 вход", f"{ORIGINAL}2 стоп", "3 stop"]
    assert [told[2] for told in relay.alerts] == [
        "the translation service gave no answer within 1 s",
        "the translation service gave no answer within 0.1 s",
    ]


async def test_retry_after_is_heard_as_long_as_the_wait_lasts(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        service.fates.append(429)
        signal = await relay.hears("#idea вход")
        await relay.goes_on()
        assert relay.shows() == ["#idea vhod"]
        assert relay.clock.slept == [7.0]

        service.fates.append(429)
        service.retry_after = "600"
        await relay.hears("стоп 1", to=signal)
        await relay.hears("стоп 2", to=signal)
        await relay.goes_on()
        assert relay.shows()[1:] == [f"{ORIGINAL}стоп 1", f"{ORIGINAL}стоп 2"]
        assert len(service.asked) == 3
        relay.clock.now += 601
        await relay.hears("стоп 3", to=signal)
        await relay.goes_on()
        assert relay.shows()[3:] == ["stop 3"]


async def test_a_service_that_is_back_in_time_is_asked_again(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        service.fates.extend([503, "cut"])
        await relay.hears("#idea вход")
        await relay.goes_on()

    assert relay.shows() == ["#idea vhod"]
    assert relay.clock.slept == [0.5, 1.0]


async def test_nobody_else_waits_for_a_service_that_is_slow(tmp_path):
    """Not another chat, nor another place in the same chat: a signal goes out while it is asked."""
    async with Translator() as service:
        rules = table(
            "majors", GROUP, (TARGET, translated(service.url)), (OTHER_TARGET, "")
        ) + table("scalps", OTHER_GROUP, (TARGET, ""))
        async with bot(rules, tmp_path) as relay:
            service.fates.append("hang")
            await relay.hears("#idea вход")
            running = asyncio.ensure_future(relay.places[str(TARGET)].translate_next())
            await service.began.wait()
            await relay.hears("#idea другой", chat_id=OTHER_GROUP)
            await relay.posts()
            assert relay.shows() == ["#idea другой"]
            assert relay.shows(OTHER_TARGET) == ["#idea вход"]
            relay.places[str(TARGET)].stop()
            await running


async def test_told_to_stop_it_waits_for_no_answer_and_loses_nothing(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        service.fates.append("hang")
        await relay.hears("#idea вход")
        place = relay.places[str(TARGET)]
        running = asyncio.ensure_future(place.run())
        await service.began.wait()
        place.stop()
        async with asyncio.timeout(5):
            await running
        assert sql(tmp_path / "signals.db", "SELECT translated FROM posts ORDER BY id")[0][0] == (
            None,
        )


async def test_paused_it_asks_nobody_until_it_goes_on(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        place = relay.places[str(TARGET)]
        await relay.hears("#idea вход")
        place.pause()
        assert not await place.translate_next()
        place.resume()
        assert await place.translate_next()

    assert len(service.asked) == 1


# ── the service's address and key ──


async def test_a_service_at_a_private_address_is_not_asked_unless_that_is_allowed():
    how = Translation("en", "https://translate.example")
    service = LibreTranslate(how, resolver=Names("10.0.0.8"))
    with pytest.raises(NotTranslated, match=r"host translate\.example has a private address"):
        await service.translate("вход")
    await service.close()


async def test_without_https_only_what_is_near_is_asked():
    """Whatever a name leads to: texts and the key do not cross the internet in the clear."""
    async with Translator(key=KEY) as near:
        how = Translation(
            "en", f"http://translate.example:{near.port}", key=KEY, allow_private=True
        )
        service = LibreTranslate(how, resolver=Names("127.0.0.1"))
        assert await service.translate("вход") == "vhod"
        await service.close()
        service = LibreTranslate(how, resolver=Names("8.8.8.8"))
        with pytest.raises(NotTranslated, match="has a public address"):
            await service.translate("вход")
        await service.close()


async def test_a_key_is_in_no_error_even_where_the_service_repeats_it(tmp_path):
    async with Translator(key="another") as service:
        rules = two_places(service)
        async with bot(rules, tmp_path, key=KEY) as relay:
            signal = await relay.hears("#idea вход")
            await relay.goes_on()
            story = await relay.why(signal)
        assert KEY not in repr(listed(rules, tmp_path, KEY))

    assert "Invalid API key" in relay.alerts[0][2]
    assert KEY not in str(relay.alerts) + story


def test_the_key_is_read_from_the_settings_and_is_a_secret(tmp_path):
    env, routes = tmp_path / ".env", tmp_path / "routes.toml"
    env.write_text(f"TRANSLATE_API_KEY={KEY}\n", "utf-8")
    env.chmod(0o600)
    routes.write_text(table("majors", GROUP, (TARGET, translated("https://x.org"))), "utf-8")
    settings = Settings.load({"routes_file": routes, "data_dir": tmp_path}, env_file=env)
    (place,) = read_routes(settings).known({}).places

    assert place.presentation.translate.key == KEY
    assert KEY in settings.secrets
    assert KEY not in repr(settings) + repr(place)


def test_one_key_is_told_to_one_service(tmp_path):
    one, other = (translated(f"https://{name}.example.org") for name in "ab")
    text = table("majors", GROUP, (TARGET, one), (OTHER_TARGET, other))
    listed(text, tmp_path)
    with pytest.raises(SettingsError) as found:
        listed(text, tmp_path, KEY)
    assert str(found.value) == (
        "routes.toml, line 10: translate: TRANSLATE_API_KEY would be told to two services, see line 7: "
        "keep one of them"
    )


def test_a_program_is_told_what_was_said_and_no_translation(tmp_path):
    text = f'[[source]]\nname = "a"\nchat = {GROUP}\nallowed_users = "everyone"\n'
    text += f'[[source.place]]\nname = "x"\njsonl = "x.jsonl"\n{translated("https://x.org")}\n'
    with pytest.raises(SettingsError, match="line 8: translate is for chat alone: take it out"):
        listed(text, tmp_path)


# ── what operators see ──


async def test_check_asks_the_service_once_and_names_what_is_wrong(tmp_path):
    async with Translator(key=KEY) as service:
        right = Translation("en", service.url, key=KEY)
        found = await of_translation("vip", right)
        assert found[:2] == (Verdict.OK, f"vip: {service.url} translates to en")
        assert len(service.asked) == 1
        for how, said in [
            (replace(right, key="wrong-key-1234"), "answered 403 (Invalid API key"),
            (replace(right, to="xx"), "answered 400 (xx is not supported)"),
        ]:
            found = await of_translation("vip", how)
            assert found.verdict is Verdict.FAILURE
            assert found.text.startswith(f"vip: the translation service {said}")
            assert how.key not in found.text
        service.fates.append("hang")
        found = await of_translation("vip", replace(right, wait=timedelta(seconds=1)))
        assert found.text == "vip: the translation service gave no answer within 1 s"
    found = await of_translation("vip", right)
    assert (found.verdict, "gave no answer" in found.text) == (Verdict.FAILURE, True)


async def test_replay_says_what_would_be_translated_and_asks_nobody(tmp_path):
    class Console:
        def print(self, text, **_):
            self.text = text

    signal = says(ALICE, "#idea вход")
    talk = [signal, says(ALICE, "BTC +5%", to=signal), says(ALICE, "стоп", to=signal)]
    async with Translator() as service:
        routes = listed(two_places(service), tmp_path)
        console = Console()
        trial = Trial(
            wiring.settings(),
            routes.without_places(),
            translated=translated_places(routes, "majors"),
        )
        await trial.run(talk, SummaryReport(console))

    assert f"       2 would be translated to en in {TARGET}; no service was asked" in console.text
    assert service.asked == []


async def test_operators_are_told_in_russian_why_nothing_is_translated(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        service.fates.append(400)
        await relay.hears("#idea вход")
        await relay.translates()
        ((_, _, why),) = relay.alerts
        assert why == "the translation service answered 400 (Slow down)"
        assert translator("ru")(why) == "сервис перевода ответил 400 (Slow down)"


async def test_operators_are_told_once_an_hour_of_a_place_that_is_not_translated():
    watch = Watch()
    for _ in range(3):
        watch.alerts.untranslated(TARGET, "vip", "the translation service answered 500")
    watch.alerts.untranslated(OTHER_TARGET, "other", "x")
    vip, other = await watch.after()
    assert vip.startswith(
        "What goes to vip is not translated: the translation service answered 500."
    )
    assert other.startswith("What goes to other is not translated: x. The original is posted,")


async def test_why_says_what_became_of_the_words(tmp_path):
    async with Translator() as service, bot(two_places(service), tmp_path) as relay:
        signal = await relay.hears("#idea вход")
        assert "it is to be translated first" in await relay.why(signal)
        await relay.goes_on()
        assert "translated to en" in await relay.why(signal)


# ── whatever happens, and when ──


class Bilingual(Afternoon):
    """The service answers in its own time: meanwhile messages are edited and deleted."""

    def __init__(self, store, seed, place):
        super().__init__(store, seed, place)
        self.over = False
        how = place.presentation.translate
        self.translations = Translations(
            store, self, place, how, done=lambda: None, told=lambda *_: None
        )

    async def translate(self, text):
        if not self.over and self.chance.random() < 0.3:
            await self.chance.choice([self._edits, self._deletes])()
        if self.chance.random() < 0.2:
            raise NotTranslated("no")
        return bilingual(text)

    async def _posts(self):
        if self.chance.random() < 0.5:
            await self.translations.translate_next()
        await super()._posts()

    async def ends(self):
        self.over = True
        while await self.translations.translate_next():
            pass


def bilingual(text):
    """Longer, so that it has more posts."""
    return text.replace("bob", "боб с друзьями")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_the_target_says_in_the_end_what_the_source_says_in_its_language(tmp_path, seed):
    """Or in the original, where that was not to be had; each message once, whatever came meanwhile."""
    how = Translation("ru", "https://translate.example")
    place = Place(TARGET, presentation=Presentation(translate=how, skip=("^#[0-9]*[147]@",)))
    path = tmp_path / "signals.db"
    store = SignalStore(Database(path, in_loop=True), place=lambda *_: place)
    await store.open()
    afternoon = Bilingual(store, seed, place)
    await afternoon.happens()
    for _ in range(2):  # what failed and is tried again may be to be translated, too
        await afternoon.ends()
        await go_on(store, afternoon.target)
    await store.close()

    (rows, left) = sql(
        path,
        "SELECT source_message_id, translated, hidden FROM posts WHERE part = 0",
        "SELECT state FROM posts WHERE state NOT IN ('sent', 'deleted')",
    )
    why_not = {number: json.loads(said)[1] for number, said, _ in rows if said}
    hidden = {number for number, _, why in rows if why}
    bare = {row[0] for row in sql(path, "SELECT source_message_id FROM posts WHERE bare")[0]}
    expected = []
    for message in afternoon.messages.values():
        if message.id in hidden:
            continue
        text = ORIGINAL + message.text if why_not[message.id] else bilingual(message.text).strip()
        media = None if message.id in bare else message.media
        expected += [post.text for post in cut(Content(text, media=media), place)]
    assert sorted(row[2] for row in afternoon.target.rows()) == sorted(expected)
    assert None in why_not.values()
    assert left == []
