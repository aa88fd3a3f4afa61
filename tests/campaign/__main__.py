"""Kill the running bot, again and again, and look whether a subscriber would notice.

    python -m tests.campaign --kills 200
    python -m tests.campaign --kills 50 --faults --without bans,unparsable
    python -m tests.campaign --kills 50 --faults --routes

The real program runs over a real socket while a group talks on: signals, updates, albums, storms of
edits, deletions of any message, strangers' answers; a moderator deletes posts in the target; the
server cuts, crawls, floods, bans, and sends what cannot be parsed. The bot is killed (SIGKILL) at
random moments, and once at every step that a message passes, for every kind of message. Then it runs
once more, undisturbed, and the target must show exactly what `expected` says.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.campaign.kills import STARTED, Campaign
from tests.campaign.rooms import many
from tests.campaign.storm import LATE, delays
from tests.loopback import LoopbackTelegram
from tests.stage import Stage

HARDSHIPS = ("cuts", "slow", "floods", "bans", "unparsable", "moderator", "storm")


async def run(options, progress):
    with tempfile.TemporaryDirectory(prefix="campaign-") as directory:
        async with LoopbackTelegram() as telegram:
            stage = Stage(telegram, Path(directory))
            campaign = Campaign(
                stage,
                options.seed,
                faults=options.faults,
                without=options.without,
                routes=await many(stage) if options.routes else None,
            )
            # The first start decides from when on there is something to be missed.
            program = await stage.launch()
            await program.wait_output('"started"', timeout=STARTED)
            program.kill()
            await program.wait()
            if not options.no_steps:
                # Not done in time: the verdict says what is wrong.
                with contextlib.suppress(AssertionError, TimeoutError):
                    await campaign.kills_at_every_step()
            await campaign.random_kills(options.kills, progress)
            verdict = await campaign.last_run()
            waits = []
            if "storm" not in options.without:
                waits = await delays(campaign)
                later = await campaign.last_run()
                verdict = Counter({kind: max(verdict[kind], later[kind]) for kind in later})
            verdict["late"] = sum(wait > LATE for wait in waits)
            return campaign, verdict, waits


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaign",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=200, help="at random moments")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--faults", action="store_true", help="with an unreliable server, too")
    parser.add_argument("--routes", action="store_true", help="three sources to four places")
    parser.add_argument("--no-steps", action="store_true", help="leave out one kill at every step")
    parser.add_argument(
        "--without",
        type=lambda names: names.split(","),
        default=[],
        metavar="NAME,NAME",
        help=f"hardships to leave out, of {', '.join(HARDSHIPS)}",
    )
    options = parser.parse_args(given)
    if unknown := set(options.without) - set(HARDSHIPS):
        parser.error(f"no such hardship: {', '.join(sorted(unknown))}")
    return options


def main(given=None):
    options = arguments(given)

    def progress(text):
        if sys.stderr.isatty():
            print(f"\r{text}", end="", file=sys.stderr, flush=True)

    begun = time.monotonic()
    campaign, verdict, waits = asyncio.run(run(options, progress))
    posts = sum(len(talk.posts(place)) for talk in campaign.talks for place in talk.places)
    moderated = sum(len(talk.moderated) for talk in campaign.talks)
    print(
        f"\nseed {options.seed}: {campaign.kills.total()} kills in {time.monotonic() - begun:.0f} s, "
        f"{campaign.said} messages and edits, {posts} posts, {moderated} deleted by a moderator; "
        f"hardships: {', '.join(campaign.names) or 'none'}"
    )
    if waits:
        print(
            f"a new signal in a storm of edits: {statistics.median(waits):.2f} s, "
            f"at most {max(waits):.2f} s (bound: {LATE:.1f} s)"
        )
    print(", ".join(f"{count} {name}" for name, count in verdict.items()))
    sys.exit(bool(+verdict))


if __name__ == "__main__":
    main()
