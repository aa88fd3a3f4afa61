"""The words survive: whatever is refused of a post, or cannot be carried, the rest arrives."""

from __future__ import annotations

import pytest
from pyrogram import raw

from tests.loopback import (
    Contact,
    CutAfter,
    Entity,
    Location,
    Other,
    Poll,
    Preview,
    RpcError,
    Venue,
)
from tests.loopback.tl import find, make
from tests.stage import SEND

pytestmark = pytest.mark.heavy

functions, types = raw.functions, raw.types
NEWER = find("types.InputReplyToMessage") is not None  # layers that know quotes and the like
SEND_MEDIA = functions.messages.SendMedia


async def why(stage, message):
    program = await stage.launch("why", f"{message.place.id}:{message.id}")
    await program.wait(timeout=30)
    return program.output


# ── without the medium ──


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, "CHAT_FORWARDS_RESTRICTED"),
        (403, "CHAT_SEND_PHOTOS_FORBIDDEN"),
        (400, "PHOTO_INVALID_DIMENSIONS"),
        (403, "PREMIUM_ACCOUNT_REQUIRED"),
        (400, "WEBPAGE_CURL_FAILED"),
        (400, "HOLOGRAM_OF_TOMORROW_TOO_BRIGHT"),
    ],
)
async def test_a_signal_whose_photo_is_refused_is_posted_in_words(stage, code, error):
    """Its updates hang on it, its edits arrive, and `why` says what it went without."""
    stage.telegram.faults.on(SEND_MEDIA, RpcError(code, error), times=None)
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea BTC", photo=stage.telegram.photo())
        await stage.shows("#idea BTC")
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await stage.shows("#idea BTC", "TP1")
        await stage.alice.edits(signal_, "#idea BTC, stop 95")
        first, second = await stage.shows("#idea BTC, stop 95", "TP1")
        assert program.output.count('"post goes without a part of it"') == 1
    told = await why(stage, signal_)

    assert first.media is None
    assert second.reply_to == first.id
    assert stage.rows("SELECT DISTINCT state FROM posts") == [("sent",)]
    assert "posted without its photo" in told
    assert error in told


async def test_what_a_chat_forbids_is_left_out_and_the_next_post_is_whole(stage):
    stage.target.forbidden.add("photos")
    document = stage.telegram.document()
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea 1", photo=stage.telegram.photo())
        await stage.alice.sends(stage.group, "report", document=document, reply_to=signal_)
        first, second = await stage.shows("#idea 1", "report")

    assert [first.media, second.media] == [None, document]


async def test_out_of_a_protected_chat_go_the_words(stage):
    stage.group.protected = True
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea 1", photo=stage.telegram.photo())
        [first] = await stage.shows("#idea 1")

    assert first.media is None


async def test_of_an_album_only_the_refused_parts_lack_their_medium(stage):
    """A part without words of its own fails visibly: there is nothing left of it to post."""
    stage.target.forbidden.add("photos")
    photos = [stage.telegram.photo(), stage.telegram.photo()]
    video = make(types.DocumentAttributeVideo, duration=1, w=64, h=64)
    clip = stage.telegram.document("clip", mime_type="video/mp4", attributes=[video])
    async with stage.relay():
        parts = await stage.alice.sends_album(stage.group, [*photos, clip], caption="#idea")
        await stage.alice.sends(stage.group, "TP1", reply_to=parts[0])
        words, shown, update = await stage.shows("#idea", "", "TP1")

    assert [words.media, shown.media, update.reply_to] == [None, clip, words.id]
    [(error,)] = stage.rows("SELECT error FROM posts WHERE state = 'failed'")
    assert "CHAT_SEND_PHOTOS_FORBIDDEN" in error


@pytest.mark.parametrize("name", ["Unsupported", "Story", "HologramOfTomorrow"])
async def test_words_below_what_nobody_can_post_again_are_posted(stage, name):
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea BTC", media=Other(name))
        await stage.alice.sends(stage.group, "", media=Other(name), reply_to=signal_)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        first, second = await stage.shows("#idea BTC", "TP1")

    assert second.reply_to == first.id
    [(state, error)] = stage.rows("SELECT state, error FROM posts WHERE state != 'sent'")
    assert state == "failed"
    assert "cannot be posted again" in error


async def test_a_long_caption_without_its_picture_is_one_text(stage):
    """Texts may have 4096 characters, captions 1024."""
    stage.target.forbidden.add("photos")
    caption = "#idea " + "слово " * 400
    async with stage.relay():
        await stage.alice.sends(stage.group, caption, photo=stage.telegram.photo())
        [only] = await stage.shows(caption)
        await stage.alice.sends(stage.group, "#idea 2")
        await stage.shows(caption, "#idea 2")

    assert only.media is None


async def test_an_edit_that_brings_a_refused_medium_brings_its_words(stage):
    stage.target.forbidden.add("photos")
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea")
        await stage.shows("#idea")
        await stage.alice.edits(signal_, "#idea, with a chart", photo=stage.telegram.photo())
        [first] = await stage.shows("#idea, with a chart")

    assert first.media is None
    assert stage.rows("SELECT state, note IS NULL FROM posts") == [("sent", 0)]


# ── the account ──


async def test_an_account_that_is_limited_waits_and_fails_nothing(stage):
    """The posts stay pending, in their order, and the operators are told."""
    await stage.carol.sends(stage.bot, "/start")
    flood = stage.telegram.faults.on(
        functions.messages.SendMessage,
        RpcError(400, "PEER_FLOOD"),
        times=None,
        when=lambda call: call.query.message.startswith("#idea"),
    )
    async with stage.relay(ADMIN_USERS=str(stage.carol.id)) as program:
        await stage.alice.sends(stage.group, "#idea 1")
        await stage.alice.sends(stage.group, "#idea 2")
        await program.wait_output("our account may not post for now")
        told = lambda: [each.text for each in stage.telegram.messages(stage.carol, stage.bot)]  # noqa: E731
        await stage.telegram.wait_for(lambda: any("limits our account" in text for text in told()))
        assert flood.hits == 1
    assert stage.rows("SELECT state, sent_version FROM posts") == [("pending", None)] * 2
    flood.cancel()
    async with stage.relay():
        await stage.shows("#idea 1", "#idea 2")


# ── polls ──


@pytest.mark.parametrize(
    "poll",
    [
        Poll("Long or short?", ("long", "short")),
        Poll("Куда?", ("вверх", "вниз"), multiple_choice=True, close_period=600),
        Poll("Closed?", ("yes", "no"), closed=True),
        Poll("2 + 2?", ("3", "4"), quiz=True, correct=(1,), closed=True, solution="Count."),
    ],
)
async def test_a_poll_is_posted_as_a_poll(stage, poll):
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea")
        await stage.alice.sends(stage.group, media=poll, reply_to=signal_)
        first, second = await stage.shows("#idea", "")

    assert second.media == poll
    assert second.reply_to == first.id


async def test_a_quiz_whose_answer_nobody_may_know_is_asked_as_a_question(stage):
    quiz = Poll("2 + 2?", ("3", "4"), quiz=True, correct=(1,))
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea")
        await stage.alice.sends(stage.group, media=quiz, reply_to=signal_)
        _, second = await stage.shows("#idea", "")

    assert second.media == Poll("2 + 2?", ("3", "4"))
    (told,) = stage.rows("SELECT extras FROM signal_updates")[0]
    assert "which answer of the quiz is right" in told


LONG = "Лонг или шорт?\n• лонг\n• шорт 🔻"


@pytest.mark.parametrize(
    ("medium", "code", "error", "words"),
    [
        (Poll("Лонг или шорт?", ("лонг", "шорт 🔻")), 403, "CHAT_SEND_POLLS_FORBIDDEN", LONG),
        (Poll("Лонг или шорт?", ("лонг", "шорт 🔻")), 400, "POLL_OPTION_INVALID", LONG),
        (
            Venue(Location(52.5, 13.25), "Биржа", "Тверская, 1"),
            400,
            "VENUE_ID_INVALID",
            "Биржа\nТверская, 1",
        ),
        (Contact("+49301", "Alice", "A."), 403, "CHAT_SEND_MEDIA_FORBIDDEN", "Alice A.\n+49301"),
    ],
)
async def test_what_a_refused_poll_venue_or_contact_says_is_said_in_words(
    stage, medium, code, error, words
):
    stage.telegram.faults.on(SEND_MEDIA, RpcError(code, error), times=None)
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea")
        asked = await stage.alice.sends(stage.group, media=medium, reply_to=signal_)
        await stage.alice.sends(stage.group, "TP1", reply_to=asked)
        first, second, third = await stage.shows("#idea", words, "TP1")
    told = await why(stage, asked)

    assert [second.media, second.reply_to, third.reply_to] == [None, first.id, second.id]
    assert error in told


async def test_a_poll_in_words_changes_as_the_poll_does(stage):
    """And is found again, if its answer was lost."""
    stage.target.forbidden.add("poll")
    stage.telegram.faults.on(
        functions.messages.SendMessage, CutAfter(), when=lambda call: "?" in call.query.message
    )
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea")
        asked = await stage.alice.sends(
            stage.group, media=Poll("Long?", ("yes", "no")), reply_to=signal_
        )
        await stage.shows("#idea", "Long?\n• yes\n• no")
        await stage.alice.edits(asked, media=Poll("Long?", ("yes", "no", "later")))
        await stage.shows("#idea", "Long?\n• yes\n• no\n• later")


async def test_buttons_that_are_refused_cost_no_picture_that_has_no_words(stage):
    photo = stage.telegram.photo()
    stage.telegram.faults.on(SEND_MEDIA, RpcError(400, "BUTTON_URL_INVALID"))
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea")
        chart = {"photo": photo, "buttons": [[("Chart", "https://example.org")]]}
        await stage.alice.sends(stage.group, reply_to=signal_, **chart)
        _, second = await stage.shows("#idea", "")

    assert second.media == photo


async def test_where_nobody_may_see_the_voters_a_poll_is_anonymous(stage):
    stage.telegram.faults.on(SEND_MEDIA, RpcError(400, "BROADCAST_PUBLIC_VOTERS_FORBIDDEN"))
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea")
        poll = Poll("Long?", ("yes", "no"), public_voters=True)
        await stage.alice.sends(stage.group, media=poll, reply_to=signal_)
        _, second = await stage.shows("#idea", "")

    assert second.media == Poll("Long?", ("yes", "no"))


# ── what belongs to a message besides ──


async def test_a_preview_that_the_author_took_away_stays_away(stage):
    """In the post and through its edits; and it comes back where the author brings it back."""
    text = "#idea see https://example.org/chart"
    link = [Entity("Url", 10, 25)]
    async with stage.relay():
        bare = await stage.alice.sends(stage.group, text, entities=link)
        page = Preview("https://example.org/chart")
        shown = await stage.alice.sends(stage.group, text, entities=link, media=page)
        first, second = await stage.shows(text, text)
        assert [first.no_webpage, second.no_webpage] == [True, False]
        for message in (bare, shown):
            await stage.alice.edits(message, text + "!", entities=link)
        first, second = await stage.shows(text + "!", text + "!")
        assert [first.no_webpage, second.no_webpage] == [True, False]
        await stage.alice.edits(shown, text + "!", entities=link, media=Other("Empty"))
        await stage.telegram.wait_for(lambda: stage.posted()[1].no_webpage)
        await stage.alice.edits(bare, text + "!", entities=link, media=page)
        await stage.telegram.wait_for(lambda: not stage.posted()[0].no_webpage)


async def test_what_was_sent_silently_rings_nowhere(stage):
    photos = [stage.telegram.photo() for _ in range(3)]
    async with stage.relay():
        await stage.alice.sends(stage.group, "#idea 1", silent=True)
        await stage.alice.sends(stage.group, "#idea 2", photo=photos[0], silent=True)
        album = await stage.alice.sends_album(stage.group, photos[1:], caption="#idea 3")
        await stage.alice.sends(stage.group, "TP1", reply_to=album[0])
        seen = await stage.shows("#idea 1", "#idea 2", "#idea 3", "", "TP1")

    assert [each.silent for each in seen] == [True, True, False, False, False]


async def test_buttons_that_lead_somewhere_are_carried_and_the_others_are_named(stage):
    """In the log once and by `why`; an edit of the text keeps them."""
    buttons = [[("Chart", "https://example.org/c"), ("Vote", b"vote")], [("Чат", "https://t.me/x")]]
    carried = (("Chart", "https://example.org/c"), ("Чат", "https://t.me/x"))
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea", buttons=buttons)
        [first] = await stage.shows("#idea")
        assert first.links == carried
        assert first.buttons == ("Chart", "Чат")
        await stage.alice.edits(signal_, "#idea, stop 95")
        [first] = await stage.shows("#idea, stop 95")
        assert program.output.count("button “Vote”") == 1
    assert first.links == carried
    assert "button “Vote”" in await why(stage, signal_)


async def test_buttons_that_telegram_refuses_cost_nothing_but_themselves(stage):
    stage.telegram.faults.on(SEND, RpcError(400, "BUTTON_URL_INVALID"))
    bold = Entity("Bold", 0, 5)
    async with stage.relay():
        signal_ = await stage.alice.sends(
            stage.group, "#idea", entities=[bold], buttons=[[("Chart", "https://bad")]]
        )
        [first] = await stage.shows("#idea")

    assert (first.links, first.entities) == ((), (bold,))
    assert "posted without its buttons" in await why(stage, signal_)


async def test_a_persons_account_posts_without_buttons_and_says_so(stage):
    async with stage.relay(**stage.login_of_carol()):
        signal_ = await stage.alice.sends(stage.group, "#idea", buttons=[[("A", "https://a.org")]])
        [first] = await stage.shows("#idea")

    assert first.links == ()
    assert "posted without its buttons" in await why(stage, signal_)


@pytest.mark.skipif(not NEWER, reason="this library's layer does not know of it")
async def test_a_quote_is_carried_where_the_post_says_the_same(stage):
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea BTC, TP1 101 for @bob_x")
        await stage.alice.sends(stage.group, "taken", reply_to=signal_, quote="TP1 101 for @bob_x")
        await stage.alice.sends(stage.group, "soon", reply_to=signal_, quote="words since edited")
        await stage.telegram.wait_for(lambda: len(stage.posted()) == 3, timeout=20)
        assert "posted without its quote" in program.output
    first, taken, soon = stage.posted()

    assert taken.quote == "TP1 101 for @\u2060bob_x"
    assert (soon.quote, soon.reply_to) == (None, first.id)


@pytest.mark.skipif(not NEWER, reason="this library's layer does not know of it")
async def test_words_above_a_picture_stay_above_it(stage):
    page = Preview("https://example.org/chart", large=True)
    async with stage.relay():
        signal_ = await stage.alice.sends(
            stage.group, "#idea", photo=stage.telegram.photo(), inverted=True
        )
        await stage.alice.sends(stage.group, "see example.org/chart", media=page, reply_to=signal_)
        first, second = await stage.shows("#idea", "see example.org/chart")
        assert [first.inverted, second.inverted, second.media] == [True, False, page]
        await stage.alice.edits(signal_, "#idea, stop 95")
        first, _ = await stage.shows("#idea, stop 95", "see example.org/chart")

    assert first.inverted


@pytest.mark.parametrize(("limit", "photo"), [(4096, False), (1024, True)])
async def test_a_text_as_long_as_may_be_that_names_somebody_is_one_message(stage, limit, photo):
    text = "#idea @bob_x " + "я" * (limit - 13)
    more = {"photo": stage.telegram.photo()} if photo else {}
    async with stage.relay():
        await stage.alice.sends(stage.group, text, **more)
        await stage.telegram.wait_for(stage.posted, timeout=20)
        await stage.alice.sends(stage.group, "#idea 2")
        await stage.telegram.wait_for(lambda: stage.posted()[-1].text == "#idea 2", timeout=20)
    first, _ = stage.posted()

    assert len(first.text) == limit
    assert "@bob" not in first.text
    assert "bob_x" in first.text
