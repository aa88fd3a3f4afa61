"""What messages carry, and how they are formatted: it arrives as it was."""

from __future__ import annotations

import pytest
from pyrogram import raw

from tests.loopback import Contact, Dice, Entity, Hold, Location, Other, Venue
from tests.loopback.tl import make
from tests.stage import SEND

pytestmark = pytest.mark.heavy

types = raw.types


def video(**more):
    return make(types.DocumentAttributeVideo, duration=1, w=64, h=64, **more)


def audio(**more):
    return make(types.DocumentAttributeAudio, duration=1, **more)


STICKER = make(types.DocumentAttributeSticker, alt="🙂", stickerset=types.InputStickerSetEmpty())
FILES = {  # kind → mime type and attributes
    "video": ("video/mp4", [video()]),
    "animation": ("video/mp4", [video(), types.DocumentAttributeAnimated()]),
    "video note": ("video/mp4", [video(round_message=True)]),
    "audio": ("audio/mpeg", [audio(title="Song")]),
    "voice": ("audio/ogg", [audio(voice=True)]),
    "document": ("application/pdf", []),
    "sticker": ("image/webp", [STICKER]),
}
BERLIN = Location(52.52, 13.405)
PLAIN = {
    "location": BERLIN,
    "venue": Venue(BERLIN, "Café «Börse»", "Main street 1", "foursquare", "id", "type"),
    "contact": Contact("+491701234567", "Марк", "Vershinin", "BEGIN:VCARD"),
}
# Those that Telegram shows with a caption, and lets it be edited.
CAPTIONED = ("photo", "video", "animation", "audio", "voice", "document")


def cast(telegram):
    """One medium of every kind, each a medium of its own."""
    files = {
        kind: telegram.document(kind, mime_type=mime_type, attributes=attributes)
        for kind, (mime_type, attributes) in FILES.items()
    }
    return {"photo": telegram.photo(), **files, **PLAIN}


async def test_every_kind_of_media_that_can_be_copied_is_copied(stage):
    """A die is thrown anew: nobody can send a given number."""
    media = cast(stage.telegram)
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea in pictures")
        for kind, medium in media.items():
            caption = kind if kind in CAPTIONED else ""
            await stage.alice.sends(stage.group, caption, media=medium, reply_to=signal_)
        await stage.alice.sends(stage.group, media=Dice("🎯", 6), reply_to=signal_)
        captions = [kind if kind in CAPTIONED else "" for kind in media]
        first, *seen, die = await stage.shows("#idea in pictures", *captions, "")

    assert [each.media for each in seen] == list(media.values())
    assert die.media.emoticon == "🎯"
    assert {each.reply_to for each in (*seen, die)} == {first.id}


async def test_the_caption_of_any_kind_of_media_can_be_edited(stage):
    media = {kind: each for kind, each in cast(stage.telegram).items() if kind in CAPTIONED}
    async with stage.relay() as program:
        sent = [
            await stage.alice.sends(stage.group, f"#idea {kind}", media=medium)
            for kind, medium in media.items()
        ]
        await stage.shows(*(f"#idea {kind}" for kind in media))
        for message in sent:
            await stage.alice.edits(message, f"{message.text}, edited")
        seen = await stage.shows(*(f"#idea {kind}, edited" for kind in media))
        assert "refused" not in program.output

    assert [each.media for each in seen] == list(media.values())


async def test_media_that_are_replaced_are_replaced_in_the_target(stage):
    old, new = stage.telegram.photo(), cast(stage.telegram)["video"]
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, "#idea", photo=old)
        bare = await stage.alice.sends(stage.group, "no chart yet", reply_to=signal_)
        await stage.shows("#idea", "no chart yet")
        await stage.alice.edits(signal_, "#idea, in motion", media=new)
        await stage.alice.edits(bare, "the chart", photo=old)
        seen = await stage.shows("#idea, in motion", "the chart")

    assert [each.media for each in seen] == [new, old]


async def test_a_file_whose_reference_has_gone_stale_is_sent_all_the_same(stage):
    """The bot reads the source message again, which has today's."""
    photo, hold = stage.telegram.photo(), Hold()
    stage.telegram.faults.on(SEND, hold)
    async with stage.relay() as program:
        await stage.alice.sends(stage.group, "#idea 1")
        await stage.alice.sends(stage.group, "#idea 2", photo=photo)
        await program.wait_output('"decided"', count=2)
        photo.expire()
        hold.release()
        _, second = await stage.shows("#idea 1", "#idea 2")

    assert second.photo is photo
    assert stage.rows("SELECT DISTINCT state FROM posts") == [("sent",)]


async def test_what_cannot_be_copied_fails_alone_and_visibly(stage):
    """What is new in Telegram cannot, and where it comes without words nothing is left of it."""
    async with stage.relay() as program:
        signal_ = await stage.alice.sends(stage.group, "#idea")
        await stage.alice.sends(stage.group, media=Other("Unsupported"), reply_to=signal_)
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await stage.shows("#idea", "TP1")
        assert "unsupported media cannot be posted again" in program.output

    assert stage.rows("SELECT state, error FROM posts ORDER BY id") == [
        ("sent", None),
        ("failed", "unsupported media cannot be posted again"),
        ("sent", None),
    ]


async def test_albums_of_documents_and_of_mixed_media_stay_albums(stage):
    documents = [stage.telegram.document(f"{number}.pdf") for number in range(3)]
    mixed = [stage.telegram.photo(), cast(stage.telegram)["video"]]
    async with stage.relay():
        parts = await stage.alice.sends_album(stage.group, documents, caption="#idea on paper")
        await stage.alice.sends_album(stage.group, mixed, caption="charts", reply_to=parts[2])
        seen = await stage.shows("#idea on paper", "", "", "charts", "")
        await stage.alice.edits(parts[0], "#idea on better paper")
        await stage.alice.deletes(parts[1])
        await stage.shows("#idea on better paper", "", "charts", "")

    assert [each.media for each in seen] == [*documents, *mixed]
    assert len({each.grouped_id for each in seen[:3]}) == 1
    assert len({each.grouped_id for each in seen[3:]}) == 1
    assert None not in {each.grouped_id for each in seen}
    assert [each.reply_to for each in seen[3:]] == [seen[2].id] * 2


# ── text ──

WORDS = "#idea BTC/USDT @bob $BTC /start a@b.de +4912345678 https://t.me bold code pre 🙂"


def every_entity():
    """All that people and Telegram format, one after the other, some over others."""
    kinds = {
        "Hashtag": "#idea",
        "Mention": "@bob",
        "Cashtag": "$BTC",
        "BotCommand": "/start",
        "Email": "a@b.de",
        "Phone": "+4912345678",
        "Url": "https://t.me",
        "Bold": "bold code",
        "Italic": "bold code",
        "Underline": "bold",
        "Strike": "bold",
        "Spoiler": "bold",
        "Code": "code",
        "Blockquote": "bold code pre",
    }
    plain = [Entity(kind, WORDS.index(word), len(word)) for kind, word in kinds.items()]
    return [
        *plain,
        Entity("Pre", WORDS.index("pre"), 3, language="python"),
        Entity("TextUrl", WORDS.index("BTC"), 8, url="https://example.org/?a=1&b=*"),
        Entity("CustomEmoji", WORDS.index("🙂"), 2, document_id=2**62 + 1),
    ]


async def test_every_kind_of_formatting_arrives_in_texts_and_captions(stage):
    formats = every_entity()
    mention = Entity("MentionName", 6, 3, user_id=stage.bob.id)
    async with stage.relay(RELAY_MENTIONS="true"):
        await stage.alice.sends(stage.group, WORDS, entities=formats)
        await stage.alice.sends(stage.group, WORDS, entities=formats, photo=stage.telegram.photo())
        # Somebody the account has met, by what he wrote here.
        await stage.bob.sends(stage.group, "hello")
        await stage.alice.sends(stage.group, "#idea Bob", entities=[mention])
        text, caption, mentioned = await stage.shows(WORDS, WORDS, "#idea Bob")

    by_kind = sorted(formats, key=lambda each: each.kind)
    assert sorted(text.entities, key=lambda each: each.kind) == by_kind
    assert sorted(caption.entities, key=lambda each: each.kind) == by_kind
    assert mentioned.entities == (mention,)


async def test_a_caption_longer_than_a_bot_may_write_goes_on_below_it(stage):
    """People who pay write captions of more than 1024 characters; bots do not."""
    caption = "#idea " + "слово " * 400
    async with stage.relay():
        signal_ = await stage.alice.sends(stage.group, caption, photo=stage.telegram.photo())
        await stage.alice.sends(stage.group, "TP1", reply_to=signal_)
        await stage.telegram.wait_for(lambda: len(stage.posted()) == 3, timeout=20, what="posts")
        first, second, update = stage.posted()
        await stage.alice.edits(signal_, "#idea, in short")
        await stage.shows("#idea, in short", "TP1")

    assert first.photo is not None
    assert second.media is None
    assert (first.text + second.text).split() == caption.split()
    assert [second.reply_to, update.reply_to] == [first.id, first.id]


@pytest.mark.parametrize("shift", ["", "x"], ids=["between characters", "within a character"])
async def test_a_text_is_cut_between_characters_and_its_formatting_goes_on(stage, shift):
    """Telegram counts 16-bit units, of which an emoji has two; no word ends near the limit."""
    text = f"#idea{shift}" + "🚀" * 3_000
    units = len(text.encode("utf-16-le")) // 2
    async with stage.relay():
        await stage.alice.sends(stage.group, text, entities=[Entity("Bold", 5, units - 5)])
        await stage.telegram.wait_for(lambda: len(stage.posted()) == 2, timeout=20, what="parts")
        first, second = stage.posted()

    assert first.text + second.text == text
    cut = len(first.text.encode("utf-16-le")) // 2
    assert cut in {4095, 4096}
    assert first.entities == (Entity("Bold", 5, cut - 5),)
    assert second.entities == (Entity("Bold", 0, units - cut),)
