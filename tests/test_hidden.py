"""What the rules of a place keep from being shown there: decided when it is recorded, and told why."""

from __future__ import annotations

import pytest

from bot.models import Decision, MessageId, Outcome, Reason, Tier
from bot.routes import Place
from bot.rules.markers import parse
from bot.rules.presentation import Presentation
from bot.rules.presentation_keys import presentation_from
from bot.signal_fields import SignalFields
from bot.storage.engine import Database
from bot.storage.store import SignalStore
from tests.carried_over import Scene, Target, go_on
from tests.people import ALICE, GROUP, TARGET, says
from tests.story import Story

HERE, THERE = TARGET, TARGET - 1


@pytest.fixture
async def played(tmp_path):
    """A function that gives a scene whose place has these keys; `go_on` posts what there is to post."""
    stores = []

    async def play(**keys):
        place = Place(TARGET, presentation=presentation_from(keys), source="majors")
        store = SignalStore(Database(tmp_path / "signals.db", in_loop=True), place=lambda *_: place)
        stores.append(store)
        await store.open()
        return Scene(store, Target(), lambda _: place)

    yield play
    for store in stores:
        await store.close()


async def texts(scene):
    await go_on(scene.store, scene.target)
    return [text for _, _, text, *_ in scene.target.rows()]


async def test_what_is_not_shown_there_is_not_posted_and_its_neighbours_are(played):
    scene = await played(skip=["(?i)vip"])
    for text in ("#idea one", "#idea VIP", "#idea two"):
        await scene.says(text)

    assert await texts(scene) == ["#idea one", "#idea two"]


async def test_an_update_below_one_that_is_not_shown_hangs_on_the_nearest_that_is(played):
    scene = await played(skip=["VIP"])
    signal = await scene.says("#idea")
    vip = await scene.says("TP1, join the VIP", signal)
    await scene.says("TP2", vip)

    assert await texts(scene) == ["#idea", "TP2"]
    assert scene.target.rows()[1][-1] == scene.target.rows()[0][1]


async def test_updates_of_a_signal_that_is_not_shown_are_not_either(played):
    """Nobody there could tell what they are about."""
    scene = await played(skip=["VIP"])
    signal = await scene.says("#idea VIP")
    await scene.says("closed", await scene.says("TP1", signal))

    assert await texts(scene) == []


@pytest.mark.parametrize("posted", [True, False])
async def test_an_edit_into_what_is_not_shown_takes_the_post_away(played, posted):
    scene = await played(skip=["VIP"])
    signal = await scene.says("#idea")
    if posted:
        assert await texts(scene) == ["#idea"]

    await scene.edits(signal, "#idea VIP")

    assert await texts(scene) == []


@pytest.mark.parametrize("posted", [True, False])
async def test_an_edit_into_what_is_shown_posts_it(played, posted):
    """As a message of its own: Telegram takes one `random_id` once."""
    scene = await played(skip=["VIP"])
    signal = await scene.says("#idea" if posted else "#idea VIP")
    await texts(scene)
    await scene.edits(signal, "#idea VIP again")
    assert await texts(scene) == []

    await scene.edits(signal, "#idea 2")

    assert await texts(scene) == ["#idea 2"]
    assert len(scene.target.taken) == 1 + posted


async def test_an_edit_back_before_the_post_was_deleted_keeps_it(played):
    scene = await played(skip=["VIP"])
    signal = await scene.says("#idea")
    await texts(scene)

    await scene.edits(signal, "#idea VIP")
    await scene.edits(signal, "#idea 2")

    assert await texts(scene) == ["#idea 2"]
    assert len(scene.target.taken) == 1


async def test_an_edit_back_while_the_post_is_being_deleted_posts_it_anew(played):
    scene = await played(skip=["VIP"])
    signal = await scene.says("#idea")
    await texts(scene)
    await scene.edits(signal, "#idea VIP")
    (post,) = await scene.store.take_posts(TARGET)
    await scene.target.delete(TARGET, [post.target_message_id])

    await scene.edits(signal, "#idea 2")
    await scene.store.post_deleted(post)

    assert await texts(scene) == ["#idea 2"]


async def test_what_was_deleted_in_the_source_comes_back_by_no_edit(played):
    """It may come behind the deletion, out of Telegram's history."""
    scene = await played(skip=["VIP"])
    signal = await scene.says("#idea VIP")
    await scene.store.delete(GROUP, [signal.id])

    await scene.edits(signal, "#idea")

    assert await texts(scene) == []


async def test_a_long_text_that_was_not_shown_comes_in_all_its_parts(played):
    scene = await played(skip=["VIP"])
    signal = await scene.says("#long " * 1_000)
    assert len(await texts(scene)) == 2
    await scene.edits(signal, "VIP")
    assert await texts(scene) == []

    await scene.edits(signal, "#again " * 1_000)

    assert "".join(await texts(scene)) == "#again " * 1_000


async def test_the_words_around_a_message_are_of_what_is_recorded(played):
    """An update is below the pair of its signal, under its own author's name; after an edit, too."""
    scene = await played(header="{pair} {direction}, {source}", footer="by {author}: {link}")
    signal = says(ALICE, "#idea BTC/USDT LONG", number=1, author_name="Alice")
    flow = await scene.store.add_signal(
        signal,
        author=ALICE,
        marker="#idea",
        fields=parse(signal.text),
        places=[scene.place(TARGET)],
    )
    update = says(ALICE, "TP1", number=2, to=signal, author_name="Alice B.")
    into = Decision(Outcome.UPDATE, Reason.OWNER, Tier.MEMORY, flow)
    await scene.store.add_update(update, into, author=ALICE, places=[scene.place(TARGET)])
    await texts(scene)

    new = says(ALICE, "#idea ETH/USDT SHORT", number=1)
    await scene.store.edit(new, parse(new.text))

    link = "https://t.me/c/1234567890"
    assert await texts(scene) == [
        f"ETH/USDT SHORT, majors\n#idea ETH/USDT SHORT\nby Alice: {link}/1",
        f"BTC/USDT LONG, majors\nTP1\nby Alice B.: {link}/2",
    ]


async def test_each_place_has_rules_of_its_own(tmp_path):
    places = {THERE: Place(THERE, presentation=Presentation(skip=("VIP",)))}
    store = SignalStore(
        Database(tmp_path / "signals.db", in_loop=True),
        place=lambda _, chat, _topic: places.get(chat, Place(chat)),
    )
    await store.open()
    for text in ("#idea", "#idea VIP"):
        await store.add_signal(
            says(ALICE, text),
            author=ALICE,
            marker="#",
            fields=SignalFields(),
            places=[Place(HERE), places[THERE]],
        )

    found = {}
    for target in (HERE, THERE):
        while posts := await store.take_posts(target):
            found.setdefault(target, []).append(posts[0].text)
            await store.post_sent(posts[0], MessageId(len(found[target])))
    await store.close()

    assert found == {HERE: ["#idea", "#idea VIP"], THERE: ["#idea"]}


async def test_why_names_the_reason(tmp_path):
    story = await Story(tmp_path, 1_770_100_000).is_told()
    place = Place(TARGET, presentation=Presentation(strip_lines=("promo",)))
    store = SignalStore(Database(story.settings().database, in_loop=True), place=lambda *_: place)
    await store.open()
    message = story.says(ALICE, "#idea promo", ago=1, number=20)
    await store.add_signal(
        message, author=ALICE, marker="#idea", fields=SignalFields(), places=[place]
    )
    shown = story.says(ALICE, "#idea", ago=1, number=21)
    await store.add_signal(shown, author=ALICE, marker="#", fields=SignalFields(), places=[place])
    while posts := await store.take_posts(TARGET):
        await store.post_sent(posts[0], MessageId(800 + posts[0].id))
    await store.edit(story.says(ALICE, "promo", ago=1, number=21), SignalFields())
    await store.close()

    said = await story.why(20)
    assert any(
        line.startswith(f"posted in {TARGET} (post ")
        and line.endswith("): nothing is left of it there")
        for line in said
    )
    assert "since its edit nothing is left of it there" in await story.why(21)
