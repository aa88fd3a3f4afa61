"""The words survive: a post that Telegram refuses for a part of it goes without that part.

What it goes without is told in the log and noted on the post, for `why`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import structlog

from bot.errors import DressRefused, MediumRefused, PostRefused, words_of
from bot.extras import PLAIN, Extras
from bot.phrases import later, phrase
from bot.posts import PostState
from bot.rules.alt_text import with_alt_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.posts import Post

log = structlog.get_logger(__name__)

T = TypeVar("T")

ALL_DRESS: Final = later("formatting, buttons, quote and preview")
# What notes call what a post goes without: parts of its dress, and media by the Bot API's names.
PARTS: Final = {
    *(ALL_DRESS, later("formatting"), later("buttons"), later("quote"), later("preview")),
    *(later("medium"), later("photo"), later("video"), later("animation"), later("document")),
    *(later("audio"), later("voice"), later("video_note"), later("sticker"), later("poll")),
    *(later("location"), later("venue"), later("contact"), later("dice"), later("story")),
}


class Notes(Protocol):
    async def post_lightened(self, post: Post, *, bare: bool) -> Post:
        """Keep its `note`. `bare`: from now on the post is one without a medium; as it is then."""


async def lightly(post: Post, do: Callable[[Post], Awaitable[T]], notes: Notes) -> T:
    """Do it with the whole post, or else with less and less of it.

    Raises `PostRefused` where no words are left, or where they are what is refused.
    """
    while True:
        try:
            return await do(post)
        except PostRefused as exc:
            less = lighter(post, exc)
        # Noted first: a crash behind this leaves a post that is sent as it is to be.
        bare = less.media is None and post.media is not None
        post = await notes.post_lightened(less, bare=bare and post.state is not PostState.EDIT)
        log.warning("post goes without a part of it", post_id=post.id, note=post.note)


def lighter(post: Post, refused: PostRefused) -> Post:
    """The post without what was refused. Raises `refused` where that is all there is."""
    if isinstance(refused, MediumRefused) and post.media is not None:
        words = with_alt_text(post.text, post.media)
        if not words.strip():
            raise refused
        kind = "medium" if post.media.kind == "unsupported" else post.media.kind
        return _noted(replace(post, text=words, media=None), kind, refused)
    if isinstance(refused, DressRefused) and (post.text.strip() or post.extras):
        less, what = _undressed(post, refused.part)
        if less != post:
            return _noted(less, what, refused)
    raise refused


def _undressed(post: Post, part: str | None) -> tuple[Post, str]:
    """Without that part of its dress, or without all of it, where it is not known which."""
    extras = post.extras or PLAIN
    if part == "formatting" and post.entities:
        return replace(post, entities=()), "formatting"
    if part not in {None, "formatting"} and extras.without(part) != extras:
        return replace(post, extras=extras.without(part)), part or ""
    plain = Extras(silent=extras.silent, no_preview=True, lost=extras.lost)
    return replace(post, entities=(), extras=plain), ALL_DRESS


def _noted(post: Post, what: str, refused: PostRefused) -> Post:
    text = phrase(
        "posted without its {what}: {error}",
        what=phrase(what) if what in PARTS else what,
        error=words_of(refused),
    )
    return replace(post, note=text)
