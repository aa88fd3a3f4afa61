"""Buttons, quotes, previews and the like: read from raw messages, and put into raw queries.

What a layer has no field for is neither read nor written by its library: quotes, the size of a
preview and captions above the picture are unknown to Pyrogram 2.0.106.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pyrogram import raw

from bot.errors import DressRefused
from bot.extras import PLAIN, Extras, LinkButton, Preview, Quote
from bot.phrases import phrase
from bot.telegram.entities import entities, entities_to_raw, unknown_entities
from bot.telegram.layers import build
from bot.telegram.polls import poll_losses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.models import MessageId

types: Final[Any] = raw.types

NOTHING: Final = (type(None), types.MessageMediaEmpty)
LINKS: Final = frozenset({"url", "text_link"})
LINK: Final = re.compile(r"\w\.[a-z]{2}", re.IGNORECASE)  # as Telegram may find one by itself


# ── from a message ──


def extras(message: Any) -> Extras | None:
    """None: nothing out of the ordinary."""
    kept, lost = _buttons(getattr(message, "reply_markup", None))
    found = Extras(
        silent=bool(getattr(message, "silent", None)),
        no_preview=_lacks_preview(message),
        preview=_preview(getattr(message, "media", None)),
        above=bool(getattr(message, "invert_media", None)),
        quote=_quote(getattr(message, "reply_to", None)),
        buttons=kept,
        lost=(*lost, *_lost(message)),
    )
    return None if found == PLAIN else found


def _lacks_preview(message: Any) -> bool:
    """There is a link, and no preview: its author took it away, or the page has none."""
    if not isinstance(getattr(message, "media", None), NOTHING):
        return False
    kinds = {entity.type for entity in entities(getattr(message, "entities", None))}
    return bool(LINKS & kinds) or LINK.search(getattr(message, "message", None) or "") is not None


def _preview(media: Any) -> Preview | None:
    """One that is as Telegram would make it by itself is left to Telegram."""
    url = getattr(getattr(media, "webpage", None), "url", None)
    if not url:
        return None
    size = next(
        (size for size in ("large", "small") if getattr(media, f"force_{size}_media", None)), ""
    )
    return Preview(url, size) if size or getattr(media, "manual", None) else None


def _quote(header: Any) -> Quote | None:
    """Telegram tells the answered words of any reply to another chat; a quote is chosen by hand."""
    text = getattr(header, "quote_text", None)
    if not text or not getattr(header, "quote", None):
        return None
    offset = getattr(header, "quote_offset", None) or 0
    return Quote(text, entities(getattr(header, "quote_entities", None)), offset)


def _buttons(markup: Any) -> tuple[tuple[tuple[LinkButton, ...], ...], list[str]]:
    """The rows of those that lead somewhere, and in words what the others were."""
    if not isinstance(markup, types.ReplyInlineMarkup):
        return (), []
    rows, lost = [], []
    for row in markup.rows or ():
        kept = []
        for button in row.buttons or ():
            link = _link(button)
            if link is None:
                lost.append(f"button “{button.text}”, which only the bot that made it answers")
            else:
                kept.append(link)
        rows.append(tuple(kept))
    return tuple(row for row in rows if row), lost


def _link(button: Any) -> LinkButton | None:
    """One that names a person (`tg://user`) is a mention, and no link."""
    what = getattr(button, "type", button)  # newer layers keep it in there
    if type(what).__name__ not in {"KeyboardButtonUrl", "InlineButtonTypeUrl"}:
        return None
    is_mention = what.url.lower().startswith("tg://user")
    return None if is_mention else LinkButton(button.text, what.url)


def _lost(message: Any) -> Iterator[str]:
    if getattr(message, "effect", None):
        yield "animated effect"
    if getattr(message, "rich_message", None):
        yield "rich layout"
    yield from poll_losses(getattr(message, "media", None))
    for kind in unknown_entities(getattr(message, "entities", None)):
        yield f"formatting of kind {kind}"


# ── into a query ──


def is_dressed(formatted: object, shown: Extras | None) -> bool:
    """Whether there is anything to leave out but the medium."""
    plain = Extras(silent=shown.silent, no_preview=True, lost=shown.lost) if shown else None
    return bool(formatted) or (shown is not None and shown not in {plain, PLAIN})


def as_fields(shown: Extras | None, *, is_bot: bool) -> dict[str, Any]:
    """Of a query that sends or edits. Raises `DressRefused`: people's accounts make no buttons."""
    if shown is None:
        return {}
    if shown.buttons and not is_bot:
        no_buttons = phrase("a person's account may not post buttons")
        raise DressRefused(no_buttons, part="buttons")
    return {
        "silent": shown.silent or None,
        "no_webpage": shown.no_preview or None,
        "invert_media": shown.above or None,
        "reply_markup": _markup(shown) if shown.buttons else None,
    }


def _markup(shown: Extras) -> Any:
    newer = getattr(types, "KeyboardInlineButtonRow", None)
    of_row = newer or types.KeyboardButtonRow
    rows = [of_row(buttons=[_button(button) for button in row]) for row in shown.buttons]
    return types.ReplyInlineMarkup(rows=rows)


def _button(button: LinkButton) -> Any:
    newer = getattr(types, "InlineButtonTypeUrl", None)
    if newer is None:
        return types.KeyboardButtonUrl(text=button.text, url=button.url)
    return types.KeyboardInlineButton(text=button.text, type=newer(url=button.url))


def preview_to_input(shown: Extras | None) -> Any | None:
    """None: Telegram makes the preview by itself, or this layer cannot say how."""
    newer = getattr(types, "InputMediaWebPage", None)
    if newer is None or shown is None or shown.preview is None:
        return None
    sizes = {f"force_{shown.preview.size}_media": True} if shown.preview.size else {}
    return newer(url=shown.preview.url, optional=True, **sizes)


def answering(
    message_id: MessageId | None, shown: Extras | None = None, *, topic: int = 0
) -> dict[str, Any]:
    """Up to layer 160 a reply was two fields of the query, since then it is an object.

    What answers nothing in a topic answers the topic's first message, whose id is the topic's.
    https://core.telegram.org/api/forum
    """
    if message_id is None and not topic:
        return {}
    to: dict[str, Any] = {"reply_to_msg_id": message_id or topic}
    if message_id is not None and topic:
        to["top_msg_id"] = topic
    newer = getattr(types, "InputReplyToMessage", None)
    if newer is None:
        return to
    words = {}
    quote = None if shown is None or message_id is None else shown.quote
    if quote is not None:
        formats = entities_to_raw(quote.entities) or None
        words = {"quote_text": quote.text, "quote_entities": formats, "quote_offset": quote.offset}
    return {"reply_to": build(newer, **to, **words)}
