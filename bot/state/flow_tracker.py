"""Who may continue a signal, and until when.

Three tiers hold the same facts: a dict, a `diskcache.Cache`, the `signals` table. Facts are of two
kinds: *threads* say to which signal a message belongs, *flows* say who owns a signal and when he
last continued it. Only the table is true; the other two may be emptied, lost or restored from an
old copy at any moment without changing an answer. Every fact carries its own date, so a tier's
own expiry is mere housekeeping.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from bot.models import AfterTtl, Decision, Flow, MessageRef, Tier
from bot.rules.policy import RELEASED_UPDATE, UNKNOWN_PARENT, is_quiet, is_released, judge_reply
from bot.state.disk_tier import DiskTier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.models import AuthorId, ChatId, MessageId, SignalId, UnixTime
    from bot.state.flow_cache import FlowCache

MAX_IN_MEMORY: Final = 10_000  # flows; the one quiet for longest leaves first
CLEANUP_EVERY: Final = 100  # operations
CLEANUP_AT_MOST: Final = 250  # flows at once, so that a burst of expiry never stalls the loop


class FlowTable(Protocol):
    """What the tracker asks when both caches miss."""

    async def flow(self, signal_id: SignalId) -> Flow | None: ...

    async def flow_at(self, chat_id: ChatId, message_id: MessageId) -> tuple[SignalId, Flow] | None:
        """Which signal's flow that message belongs to, and the flow; None: to none."""


class _HeldFlow:
    """A flow in memory.

    `messages` is one reference while there is one and a list from the second on: most flows have
    few messages, and a list each would not fit the bound of 400 bytes per flow.
    """

    __slots__ = ("last_owner_activity", "messages", "owner")

    def __init__(self, owner: AuthorId, last_owner_activity: UnixTime) -> None:
        self.owner = owner
        self.last_owner_activity = last_owner_activity
        self.messages: MessageRef | list[MessageRef] | None = None

    def add(self, ref: MessageRef) -> None:
        if self.messages is None:
            self.messages = ref
        elif isinstance(self.messages, list):
            self.messages.append(ref)
        else:
            self.messages = [self.messages, ref]

    def all_messages(self) -> Iterable[MessageRef]:
        if self.messages is None:
            return ()
        return self.messages if isinstance(self.messages, list) else (self.messages,)


class FlowTracker:
    """The three tiers. One event loop uses it; it is not thread-safe.

    `clock` (unix seconds) is asked for one thing only: for how long the disk should keep a row.
    `reopen` is asked for another `disk` when there is none, or when it broke; from another thread.
    A disk tier that is given as such is shared with other trackers, and closed by whoever made it.
    """

    def __init__(
        self,
        table: FlowTable,
        disk: FlowCache | DiskTier | None,
        *,
        ttl: timedelta = timedelta(hours=72),
        after_ttl: AfterTtl = AfterTtl.RELEASE,
        max_in_memory: int = MAX_IN_MEMORY,
        clock: Callable[[], float] = time.time,
        reopen: Callable[[], FlowCache | None] | None = None,
    ) -> None:
        self._table = table
        self._is_shared = isinstance(disk, DiskTier)
        if isinstance(disk, DiskTier):
            self._disk: DiskTier | None = disk
        else:
            without = disk is None and reopen is None
            self._disk = None if without else DiskTier(disk, reopen=reopen, clock=clock)
        self._ttl = int(ttl.total_seconds())
        self._after_ttl = after_ttl
        self._max_in_memory = max_in_memory
        # The flow quiet for longest stands in front, so expiry and eviction pop and never scan.
        self._flows: OrderedDict[SignalId, _HeldFlow] = OrderedDict()
        self._threads: dict[tuple[ChatId, MessageId], SignalId] = {}
        self._operations = 0

    def start_flow(self, signal_id: SignalId, user_id: AuthorId, *, at: UnixTime) -> None:
        """Register a flow, or newer activity of its owner. Call it after the table's commit."""
        held = self._flows.get(signal_id)
        if held is None:
            self._hold(signal_id, user_id, at)
            self._count_operation(at)
        elif at > held.last_owner_activity:
            held.last_owner_activity = at
            self._flows.move_to_end(signal_id)
        else:
            return
        if self._disk is not None:
            self._disk.put_flow(signal_id, user_id, at, until=at + self._ttl)

    def add_to_thread(self, signal_id: SignalId, chat_id: ChatId, message_id: MessageId) -> None:
        """Make replies to this message replies into the flow. Call it after the table's commit.

        Does nothing for a flow that is not in memory: it is too old for the caches.
        """
        ref = MessageRef(chat_id, message_id)
        held = self._hold_thread(signal_id, ref)
        if held is not None and self._disk is not None:
            self._disk.put_thread(ref, signal_id, until=held.last_owner_activity + self._ttl)

    async def get_flow_owner(self, signal_id: SignalId, *, at: UnixTime) -> AuthorId | None:
        """The one author who may continue the flow at that date; None: released or unknown."""
        found = await self._find(signal_id, at)
        if found is None or self._is_released(found[0], at):
            return None
        return found[0].owner

    async def is_allowed(self, signal_id: SignalId, user_id: AuthorId, *, at: UnixTime) -> bool:
        """Whether `decide` accepts."""
        known = self._by_memory(signal_id, user_id, at)
        if known is not None:
            return known.accepted
        return (await self._by_tiers(signal_id, user_id, at)).accepted

    async def decide(
        self, signal_id: SignalId, user_id: AuthorId | None, *, at: UnixTime
    ) -> Decision:
        """Rows 6 and 8 to 11 of the rule for a reply into this flow. Changes no fact.

        `at` is the reply's own date, unix seconds. The tier is the fastest one whose facts the
        decision rests on; a release is never believed before the table has confirmed it.
        """
        return await self._decide(signal_id, user_id, at, None)

    async def _decide(
        self, signal_id: SignalId, user_id: AuthorId | None, at: UnixTime, true: Flow | None
    ) -> Decision:
        known = self._by_memory(signal_id, user_id, at)
        if known is None:
            return await self._by_tiers(signal_id, user_id, at, true)
        return Decision(known.outcome, known.reason, Tier.MEMORY, signal_id)

    async def decide_at(
        self, chat_id: ChatId, message_id: MessageId, user_id: AuthorId | None, *, at: UnixTime
    ) -> Decision | None:
        """The same for a reply to this message; None: it belongs to no flow.

        Misses are not kept: a signal recorded a moment later must not stay unknown until some
        cache forgets that it was.
        """
        # A bare pair finds what a `MessageRef` was filed under, at a fifth of the time to make it.
        signal_id = self._threads.get((chat_id, message_id))
        if signal_id is not None:
            known = self._by_memory(signal_id, user_id, at)
            if known is None:
                return await self._by_tiers(signal_id, user_id, at)
            return Decision(known.outcome, known.reason, Tier.MEMORY, signal_id)
        ref = MessageRef(chat_id, message_id)
        on_disk = None if self._disk is None else self._disk.signal_at(ref)
        found = await self._table.flow_at(*ref) if on_disk is None else (on_disk, None)
        if found is None:
            return None
        signal_id, true = found
        decision = await self._decide(signal_id, user_id, at, true)
        # Memory keeps threads with their flow only, which has come in by now unless it is too old.
        if on_disk is None:
            self.add_to_thread(signal_id, *ref)
        else:
            self._hold_thread(signal_id, ref)
        return None if decision is UNKNOWN_PARENT else decision

    def end_flow(self, signal_id: SignalId) -> None:
        """Forget what the caches know of a flow, so that the table is asked next.

        For an operator's release, and for facts that the table turned out not to share.
        """
        self._drop(signal_id)
        if self._disk is not None:
            self._disk.delete_flow(signal_id)

    @property
    def in_memory(self) -> int:
        """How many flows."""
        return len(self._flows)

    @property
    def without_disk(self) -> bool:
        """Whether it goes on without the disk tier."""
        return self._disk is None

    def cleanup_expired(self, *, now: UnixTime) -> int:
        """Drop the flows whose TTL has ended from memory and tell how many there were.

        Harmless at any `now`: who asks for a dropped flow is answered by the disk or the table.
        """
        return self._drop_expired(now, at_most=len(self._flows))

    @property
    def disk_works(self) -> bool:
        """Whether the disk tier is there at present. For people to look at; decides nothing."""
        return self._disk is not None and self._disk.works

    async def close(self) -> None:
        """Write what is not yet on disk. The tracker is of no use afterwards."""
        if self._disk is not None and not self._is_shared:
            await closed(self._disk)

    def _by_memory(
        self, signal_id: SignalId, user_id: AuthorId | None, at: UnixTime
    ) -> Decision | None:
        """What `judge_reply` says. None: memory does not hold the flow, or would release it, which
        it may not by itself.
        """
        self._count_operation(at)
        held = self._flows.get(signal_id)
        if held is None:
            return None
        activity = held.last_owner_activity
        said = judge_reply(held.owner, activity, user_id, at, self._ttl, self._after_ttl)
        return None if said is RELEASED_UPDATE else said

    async def _by_tiers(
        self,
        signal_id: SignalId,
        user_id: AuthorId | None,
        at: UnixTime,
        true: Flow | None = None,
    ) -> Decision:
        found = await self._find(signal_id, at, true)
        if found is None:
            return UNKNOWN_PARENT
        (owner, activity), tier = found
        said = judge_reply(owner, activity, user_id, at, self._ttl, self._after_ttl)
        return Decision(said.outcome, said.reason, tier, signal_id)

    async def _find(
        self, signal_id: SignalId, at: UnixTime, true: Flow | None = None
    ) -> tuple[Flow, Tier] | None:
        """The facts from the fastest tier that has them; the table's if others would release.
        `true`: the table's, if they were asked for just now.

        A cache can be older than the table: the process may have died between the two writes, or
        the file may be an old copy. Facts too old can only err by releasing a flow too early.
        """
        flow, tier = self._cached(signal_id)
        if flow is None or self._is_released(flow, at):
            true = true or await self._table.flow(signal_id)
            if true is not None and true != flow:
                flow, tier = true, Tier.TABLE
        if flow is None:
            return None
        if flow.last_owner_activity is not None and not self._is_released(flow, at):
            self._keep(signal_id, flow.owner, flow.last_owner_activity, tier)
        return flow, tier

    def _cached(self, signal_id: SignalId) -> tuple[Flow | None, Tier]:
        held = self._flows.get(signal_id)
        if held is not None:
            return Flow(held.owner, held.last_owner_activity), Tier.MEMORY
        return None if self._disk is None else self._disk.flow(signal_id), Tier.DISK

    def _keep(self, signal_id: SignalId, owner: AuthorId, at: UnixTime, tier: Tier) -> None:
        """Bring facts into the tiers above the one they were found in."""
        if tier is Tier.TABLE:
            self._drop(signal_id)  # what memory held was not true
            self.start_flow(signal_id, owner, at=at)
        elif tier is Tier.DISK:
            self._hold(signal_id, owner, at)

    def _is_released(self, flow: Flow, at: UnixTime) -> bool:
        return is_released(flow.last_owner_activity, at, self._ttl, self._after_ttl)

    def _hold(self, signal_id: SignalId, owner: AuthorId, at: UnixTime) -> None:
        self._flows[signal_id] = _HeldFlow(owner, at)
        if len(self._flows) > self._max_in_memory:
            _, longest_quiet = self._flows.popitem(last=False)
            self._forget_messages(longest_quiet)

    def _hold_thread(self, signal_id: SignalId, ref: MessageRef) -> _HeldFlow | None:
        """The flow that the message now belongs to; None: there is nothing new to hold."""
        held = self._flows.get(signal_id)
        if held is None or ref in self._threads:
            return None
        self._threads[ref] = signal_id
        held.add(ref)
        return held

    def _drop(self, signal_id: SignalId) -> None:
        held = self._flows.pop(signal_id, None)
        if held is not None:
            self._forget_messages(held)

    def _forget_messages(self, held: _HeldFlow) -> None:
        for ref in held.all_messages():
            self._threads.pop(ref, None)

    def _drop_expired(self, now: UnixTime, *, at_most: int) -> int:
        dropped, flows = 0, self._flows
        while flows and dropped < at_most:
            signal_id, held = flows.popitem(last=False)
            if not is_quiet(held.last_owner_activity, now, self._ttl):
                flows[signal_id] = held
                flows.move_to_end(signal_id, last=False)
                break
            self._forget_messages(held)
            dropped += 1
        return dropped

    def _count_operation(self, at: UnixTime) -> None:
        self._operations += 1
        if self._operations % CLEANUP_EVERY == 0:
            self._drop_expired(at, at_most=CLEANUP_AT_MOST)


async def closed(disk: DiskTier) -> None:
    """Write what is not yet on disk. It is of no use afterwards."""
    await asyncio.to_thread(disk.close)
    disk.close_reader()
