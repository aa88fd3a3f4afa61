"""All that a bot and its operators ask of the tables."""

from __future__ import annotations

from bot.models import Cursor, Failure, MessageRef, SignalId, UnreadableMessage
from bot.posts import Method
from bot.signal_fields import SignalFields
from bot.signal_json import RowKind
from bot.storage import (
    coverage,
    failures,
    flow_list,
    history,
    post_records,
    records,
    stream,
    untranslated,
)
from tests.carried_over import PHOTO, Scene, Target, go_on, long
from tests.people import ALICE, GROUP, NOON, TARGET, says

QUERIES = (
    lambda db: records.recorded(db, MessageRef(GROUP, 1)),
    lambda db: records.recorded(db, MessageRef(GROUP, 0)),
    lambda db: records.replies(db, SignalId(1)),
    lambda db: records.messages_with_id(db, 1),
    lambda db: records.neighbours(db, MessageRef(GROUP, 2)),
    lambda db: records.extras_of(db, MessageRef(GROUP, 1)),
    lambda db: records.signal(db, SignalId(1)),
    lambda db: records.owner_activity(db, SignalId(1), at=NOON, but=MessageRef(GROUP, 2)),
    lambda db: records.refused_edit(db, MessageRef(GROUP, 1)),
    lambda db: records.ended_by_hand(db, SignalId(1), before=NOON),
    lambda db: records.count_flows(db, active_since=NOON),
    lambda db: post_records.posts_of(db, MessageRef(GROUP, 1)),
    lambda db: records.posted_from(db, MessageRef(TARGET, 500)),
    lambda db: post_records.post(db, 1),
    lambda db: untranslated.next_awaiting(db, place=0, method=Method.EDIT),
    lambda db: list(untranslated.awaiting(db, [1, 2])),
    records.count_posts,
    records.count_aside,
    lambda db: post_records.troubles(db, at_most=5),
    lambda db: records.backlogs(db, [TARGET]),
    records.paused_at,
    records.tier_hits,
    records.heard,
    records.moved,
    *(
        lambda db, kind=kind: stream.page(
            db, stream.Wanted(kind, NOON, [GROUP]), MessageRef(GROUP, 1)
        )
        for kind in RowKind
    ),
    lambda db: stream.once_called(db, GROUP),
    lambda db: stream.is_known(db, [GROUP]),
    stream.known_chats,
    coverage.coverage,
    coverage.newest_signal,
    lambda db: coverage.told_of(db, SignalId(1)),
    lambda db: list(flow_list.flows(db, active_since=NOON, owner=ALICE, pair="BTC")),
    lambda db: list(history.facts(db)),
    lambda db: failures.failure(db, MessageRef(GROUP, 1)),
    lambda db: failures.failure_by_id(db, 1),
    lambda db: failures.newest(db, at_most=3),
    failures.count,
    failures.wanted,
    failures.told,
)
FAILED = Failure(MessageRef(GROUP, 800), ALICE, NOON, "ValueError")
CHANGES = (
    lambda db: failures.record(db, [FAILED], now=NOON),
    lambda db: failures.want(db, None, now=NOON),
    lambda db: failures.settle(db, [FAILED.ref]),
    lambda db: failures.tell_of(db, kind="deaf", about=None, at=NOON),
)


async def all_of_it(store):
    """What a bot and its operator ask of the tables."""
    scene = Scene(store, Target())
    signal = await scene.sent("#idea BTC/USDT LONG")
    update = await scene.sent("TP1 hit", signal)
    lost = await scene.lost(long("#lost"), parts=2)
    await scene.refused("#refused", media=PHOTO)
    album = await scene.says("#album", media=PHOTO, album_id=9)
    await scene.says("", album, media=PHOTO, album_id=9)
    await scene.edits(update, "TP2 hit")
    await scene.edits(lost, "#lost short")
    await store.delete(GROUP, [album.id])
    await go_on(store, scene.target)
    (gone,) = await store.take_posts(TARGET) or [None]
    assert gone is None
    for _ in range(2):
        await scene.says("#more")
    (post,) = await store.take_posts(TARGET)
    await store.post_lightened(post, bare=True)
    await store.post_unsent(post)
    await store.set_aside(post)
    await store.take_aside(TARGET)
    await store.posted_after(TARGET, 500)
    await store.ancestors(post)
    await store.refuse_edit(says(ALICE, "#other", number=1))
    await store.album(GROUP, 9)
    await store.is_refused(signal.ref)
    await store.to_be_decided_anew(signal.ref)
    await store.add_unreadable(UnreadableMessage(GROUP, 900, None, "ValueError"))
    await store.edit(says(ALICE, "#idea again", number=1), SignalFields())
    await store.prune_decisions(before=NOON)
    await store.last_posted(TARGET)
    await store.messages_gone(TARGET, [500])
    await store.release(SignalId(1))
    await store.retry(1)
    await store.pause()
    await store.resume()
    await store.orders_after(0)
    await store.last_order()
    await store.ended_flows()
    await store.cursor(GROUP)
    store.reached(Cursor(GROUP, 1, None, None, 1))
    await store.move_cursors([Cursor(GROUP, 2, None, None, 2)])
    await store.recorded(GROUP, active_since=NOON, before=5, limit=5)
    await store.last_activity(GROUP)
    await store.moved_chats()
    await store.cache_key()
    await store.counts()
    for query in QUERIES:
        await store.ask(query)
    for change in CHANGES:
        await store.change(change)
