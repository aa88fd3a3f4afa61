"""What an export may come as: packed, in any order, merged, of another program, with what is no JSON in it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import subprocess
import sys
import tarfile
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.app import main_route
from bot.config import Settings
from bot.errors import ExportError, UsageError
from bot.history.export import Export
from bot.history.mended_json import Mended
from bot.history.replay import Trial, rules_for
from bot.models import MessageRef
from tests.conftest import ROOT
from tests.exports import CHAT_ID, account, chat, dump, generate, message, write

if TYPE_CHECKING:
    from pathlib import Path

    from bot.history.replay import Decided, Tally

GROUP = -(10**12) - CHAT_ID
TALK = [
    message(1, "user101", "#idea BTC/USDT LONG"),
    message(2, "user101", "TP1", reply_to=1),
    message(3, "user102", "спасибо!", reply_to=1),
    message(4, "user101", "closed", reply_to=2),
]


def ids(path: Path, **how: Any) -> list[int]:
    return [one.id for one in Export(path, **how).messages()]


def refused(path: Path, **how: Any) -> str:
    """The one line with which it is."""
    with pytest.raises((ExportError, UsageError)) as caught:
        list(Export(path, **how).messages())
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ── the order ─────────────────────────────────────────────────────────────────


def test_messages_come_in_the_order_of_ids_and_of_edits(tmp_path):
    """The history of a group that was migrated, with its negative ids, comes before."""
    before = message(5, text="as it was")
    after = message(5, text="as it is", edited_unixtime="1704106860")
    path = write(
        tmp_path / "e.json", after, message(3), message(-999_999_998, at=1_704_099_600), before
    )
    found = [(one.id, one.text) for one in Export(path).messages()]
    assert found == [(-999_999_998, "hello"), (3, "hello"), (5, "as it was"), (5, "as it is")]
    twice = Export(write(tmp_path / "e.json", message(3), after, before, message(6))).messages()
    assert [one.text for one in twice] == ["hello", "as it was", "as it is", "hello"]


@pytest.mark.long
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_any_order_and_any_doubles_are_the_same_messages(tmp_path_factory, data):
    written = st.builds(
        lambda number, text, at: message(number, text=text, edited_unixtime=at),
        st.integers(1, 6),
        st.sampled_from(["a", "b"]),
        st.sampled_from([1_704_106_860, 1_704_106_861]),
    )
    one = data.draw(st.lists(written, max_size=12))
    other = data.draw(st.permutations(one))
    directory = tmp_path_factory.mktemp("order")
    found = [
        list(Export(write(directory / name, *messages)).messages())
        for name, messages in (("one.json", one), ("other.json", other))
    ]
    assert found[0] == found[1]


class Kept:
    def __init__(self) -> None:
        self.found: list[tuple[Any, ...]] = []

    def show(self, decided: Decided) -> None:
        said, decision, signal = decided[:3]
        self.found.append((said.id, *decision[:2], signal))

    def finish(self, tally: Tally) -> None:
        pass


async def decisions(path: Path) -> list[tuple[Any, ...]]:
    export, kept = Export(path), Kept()
    trial_settings = Settings.model_construct(
        data_dir=path.parent, signal_markers=("#idea", "#идея")
    )
    rules = rules_for(main_route(trial_settings), export.chat)
    await Trial(trial_settings, rules).run(export.messages(), kept)
    return kept.found


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_for_any_order_the_decisions_are_those_of_the_order_by_id(tmp_path, seed):
    """Newest first, shuffled, and merged of two exports that overlap."""
    path = generate(tmp_path / "result.json", messages=80, seed=seed)
    export = json.loads(path.read_bytes())
    messages = export["messages"]
    expected = await decisions(path)
    assert {outcome for _, outcome, _, _ in expected} > {"signal", "update", "rejected"}
    shuffled = random.Random(seed).sample(messages, len(messages))
    for order in (messages[::-1], shuffled, [*messages[30:], *messages[:30]]):
        path.write_bytes(dump(export | {"messages": order}))
        assert await decisions(path) == expected
    path.write_bytes(dump(export | {"messages": [*messages[20:], *messages[:50]]}))
    merged = {one[0]: one for one in reversed(await decisions(path))}
    assert list(merged.values()) == expected[::-1]


def test_importing_twice_in_whatever_order_changes_nothing_and_says_so_alike(run, tmp_path):
    """The first time a reply stands before its signal."""
    env = {"SOURCE_CHAT_ID": str(GROUP)}
    talk = [*TALK, message(5, "user102", "#idea ETH/USDT SHORT")]
    runs = [
        run("import", write(tmp_path / "e.json", *order), env=env).stdout.splitlines()
        for order in (talk[::-1], talk, [*talk[2:], *talk])
    ]
    assert runs[0][-1] == "wrote 2 signals, 2 updates and 1 refusal to data/signals.db"
    nothing = "wrote 0 signals, 0 updates and 0 refusals to data/signals.db"
    assert [lines[-1] for lines in runs[1:]] == [nothing, nothing]
    assert "5 duplicate" in "\n".join(runs[1])


# ── what it is packed in ──────────────────────────────────────────────────────


def test_a_directory_is_looked_through_for_its_result(tmp_path):
    write(tmp_path / "result.json", *TALK)
    (tmp_path / "photos").mkdir()
    assert ids(tmp_path) == [1, 2, 3, 4]
    assert "ends too early" in _cut(tmp_path / "result.json", tmp_path)


def _cut(file: Path, path: Path) -> str:
    file.write_bytes(file.read_bytes()[:-40])
    return refused(path)


def test_a_directory_of_pages_is_refused_with_what_to_do(tmp_path):
    assert refused(tmp_path) == f"{tmp_path} is a directory without result.json"
    (tmp_path / "messages.html").write_text("<html>")
    assert refused(tmp_path) == (
        f"{tmp_path} is a directory without result.json, but messages.html: "
        "export the chat again as machine-readable JSON"
    )


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name", ["result.json", "ChatExport_2026-11-24/result.json", "../../result.json", "chat.json"]
)
def test_a_zip_archive_is_read_and_never_unpacked(tmp_path, name):
    """Where its names lead is nowhere."""
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    members = {name: dump(chat(TALK)), "__MACOSX/result.json": b"x", "photos/1.jpg": b"y"}
    archive = zipped(inside / "export.bin", **members)
    assert ids(archive) == [1, 2, 3, 4]
    assert list(tmp_path.rglob("result.json")) == []


def test_a_gzip_file_is_read(tmp_path):
    (tmp_path / "e.gz").write_bytes(gzip.compress(dump(chat(TALK))))
    assert ids(tmp_path / "e.gz") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({}, "holds no result.json"),
        ({"a/messages.html": b"<"}, "holds no result.json, but messages.html: export the chat"),
        ({"a/result.json": b"{", "b/result.json": b"{"}, "holds 2 exports (a/result.json, b/"),
        ({"a.json": b"{", "b\x1b[2J.json": b"{"}, "holds 2 exports (a.json, b [2J.json"),
    ],
)
def test_a_zip_archive_without_one_export_is_refused(tmp_path, members, why):
    assert why in refused(zipped(tmp_path / "e.zip", **members))


@pytest.mark.long
@pytest.mark.parametrize("pack", ["zip", "gz"])
def test_what_is_damaged_in_an_archive_is_told_after_what_is_whole(tmp_path, pack):
    texts = [message(n, text=random.Random(n).randbytes(400).hex()) for n in range(1, 200)]
    content = dump(chat(texts))
    path = tmp_path / f"e.{pack}"
    if pack == "zip":
        raw = bytearray(zipped(path, **{"result.json": content}).read_bytes())
        raw[len(raw) // 2 : len(raw) // 2 + 9] = b"\xff" * 9
    else:
        raw = bytearray(gzip.compress(content))
        del raw[len(raw) // 2 :]
    path.write_bytes(raw)
    found = []
    with pytest.raises(ExportError) as caught:
        found.extend(one.id for one in Export(path).messages())
    assert found == list(range(1, len(found) + 1))
    assert len(found) > 50
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_encrypted_archive_is_told_for_what_it_is(tmp_path):
    raw = bytearray(zipped(tmp_path / "e.zip", **{"result.json": b"{}"}).read_bytes())
    raw[6] |= 1  # of the member
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # in the directory
    (tmp_path / "e.zip").write_bytes(raw)
    assert "it is encrypted: unpack it first" in refused(tmp_path / "e.zip")


@pytest.mark.long
@pytest.mark.parametrize("filler", [b" ", b"0", b'"', b"["])
@pytest.mark.parametrize("pack", [pytest.param("zip", marks=pytest.mark.heavy), "gz"])
def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path, pack, filler):
    """Twenty kilobytes that unpack to twenty megabytes: within a message, or around it."""
    whole = dump(chat([message(1), "@@"])).replace(b'"@@"', filler * 20_000_000)
    if pack == "zip":
        path = zipped(tmp_path / "e.zip", **{"result.json": whole})
    else:
        path = tmp_path / "e.gz"
        path.write_bytes(gzip.compress(whole))
    assert path.stat().st_size < 200_000
    found = []
    with pytest.raises(ExportError, match=r"more than 200 times|is damaged at byte"):
        found.extend(one.id for one in Export(path).messages())
    assert found == [1]


def tarred(raw: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("result.json")
        member.size = len(raw)
        archive.addfile(member, io.BytesIO(raw))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("pack", "kind"),
    [
        (bz2.compress, "bzip2"),
        (lzma.compress, "xz"),
        (lambda raw: b"7z\xbc\xaf\x27\x1c" + raw, "7z"),
        (lambda raw: b"Rar!\x1a\x07\x01\x00" + raw, "rar"),
        (lambda raw: b"\x28\xb5\x2f\xfd" + raw, "zstd"),
        (tarred, "tar"),
        (lambda raw: gzip.compress(tarred(raw)), "tar"),
    ],
    ids=["bz2", "xz", "7z", "rar", "zst", "tar", "tar.gz"],
)
def test_what_is_packed_in_another_way_is_refused_by_its_name(tmp_path, pack, kind):
    (tmp_path / "e").write_bytes(pack(dump(chat(TALK))))
    assert refused(tmp_path / "e") == (
        f"{tmp_path / 'e'} is not an export: it is packed as {kind}; unpack it, or pack it as zip or gz"
    )


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from(
                [
                    *(
                        b"PK\x03\x04",
                        b"\x1f\x8b\x08\x00",
                        b"\xef\xbb\xbf",
                        b'{"messages": [',
                        b"\r",
                        b"\0",
                    ),
                    *(
                        b"id,date,from_id,reply_to,text",
                        b'"',
                        b"\n",
                        b"1,1704099660,5,,x",
                        b"]}",
                        b"\\x",
                    ),
                ]
            ),
        ),
        max_size=8,
    ),
    st.sampled_from([None, "-1005"]),
)
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line(tmp_path_factory, pieces, of):
    path = tmp_path_factory.mktemp("any") / "e"
    path.write_bytes(b"".join(pieces))
    told = ""
    try:
        list(Export(path, chat=of).messages())
    except (ExportError, UsageError) as exc:
        told = str(exc)
    assert "\n" not in told


def test_standard_input_is_read_and_named(run, tmp_path):
    """Packed or not; `-` in front of a pipe."""
    for content in (dump(chat(TALK)), gzip.compress(dump(chat(TALK)))):
        (tmp_path / "e").write_bytes(content)
        with (tmp_path / "e").open("rb") as file:
            done = run("replay", "-", "--json", stdin=file)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["updates"] == 2
    with (tmp_path / "e").open("wb+") as empty:
        done = run("replay", "-", stdin=empty)
    assert done.stderr == "error: standard input is not an export: it is empty\n"


def test_standard_input_that_cannot_be_kept_is_one_line(tmp_path):
    """No room for it, and what cannot be read."""
    (tmp_path / "e").write_bytes(dump(chat(TALK)) + b" " * 100_000)

    def refused(line):
        shell = ["bash", "-c", line, sys.executable]
        env = {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
        done = subprocess.run(
            shell, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        return done.stderr

    assert refused('ulimit -f 50; "$0" -m bot replay - <e') == (
        f"error: standard input cannot be kept in {tmp_path}: File too large; "
        "TMPDIR may name another directory\n"
    )
    assert refused('"$0" -m bot replay - 0>other') == (
        "error: standard input cannot be read: Bad file descriptor\n"
    )


# ── what is no JSON, and is read by nobody ────────────────────────────────────

NUMBERS = [
    *(
        "9223372036854775808",
        "-99999999999999999999",
        "9" * 5000,
        "9" * 200_000,
        "1e400",
        "-1.5E+999",
    ),
    *("NaN", "Infinity", "-Infinity", "0.1", "1e5", "123456789012345678", "-7"),
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:20])
def test_no_number_in_a_field_that_nobody_reads_stops_anything(tmp_path, number):
    """In a message, in a list, beside the messages; strings that look alike stay as they are."""
    text = f'x": {number[:300]}, [{number[:300]}] NaN \\ "1e400'
    path = write(tmp_path / "e.json", message(1, text=text, odd="@@", more=["@@", 5]), message(2))
    raw = path.read_bytes().replace(b'"@@"', number.encode())
    path.write_bytes(raw.rstrip()[:-1] + b', "x": ' + number.encode() + b"}")
    found = list(Export(path).messages())
    assert [one.id for one in found] == [1, 2]
    assert found[0].text == text


def test_a_number_that_is_read_and_fits_nowhere_is_one_message_the_less(tmp_path):
    path = write(tmp_path / "e.json", message(1), message(2, date_unixtime="@@", date=None), "@@")
    path.write_bytes(path.read_bytes().replace(b'"@@"', b"1e400"))
    export = Export(path)
    assert [one.id for one in export.messages()] == [1]
    assert export.malformed == 2


@settings(deadline=None)
@given(data=st.data())
def test_what_is_mended_is_the_same_however_it_is_cut(data):
    pieces = st.sampled_from(
        [b'"', b"\\\\", b'\\"', b"\\x0b", b"NaN", b"-", b"1e400", b"12345678901234567890", b"1", b"e5",
         b".5", b"[", b",", b" ", b"Inf", b"Infinity", b"x", b"true"]
    )  # fmt: skip
    whole = b"".join(data.draw(st.lists(pieces, max_size=30)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    at_once, mended = Mended(), Mended()
    expected = at_once.next(whole, last=False) + at_once.next(b"", last=True)
    found = b"".join(mended.next(chunk, last=False) for chunk in chunks)
    assert found + mended.next(b"", last=True) == expected


@pytest.mark.parametrize(("opens", "closes"), [('{"a":', "}"), ("[", "]"), ('[{"a":', "}]")])
def test_depth_costs_what_its_length_costs(tmp_path, opens, closes):
    """80,000 objects within each other take some four times as long as 20,000, not sixteen times.

    The best of three: what Python forgot elsewhere may be looked for in the midst of one.
    """

    def seconds(depth: int) -> float:
        return min(once(depth) for _ in range(3))

    def once(depth: int) -> float:
        path = write(tmp_path / "e.json", message(1, odd="@@"), message(2))
        deep = (opens * depth + "1" + closes * depth).encode()
        path.write_bytes(path.read_bytes().replace(b'"@@"', deep))
        began = time.process_time()
        assert ids(path) == [1, 2]
        return time.process_time() - began

    seconds(10)
    assert seconds(80_000) < 10 * max(0.02, seconds(20_000))


# ── other programs ────────────────────────────────────────────────────────────


def raw(number: int, user: int | None = 101, text: str = "hi", **more: Any) -> dict[str, Any]:
    """A message as tdl writes it with --raw: an object of its library, with all that is not there."""
    told = {
        "Flags": 256,
        "Out": False,
        "ID": number,
        "FromID": None if user is None else {"UserID": user},
        "PeerID": {"ChannelID": CHAT_ID},
        "FwdFrom": {"Date": 0, "FromID": None, "ChannelPost": 0},
        "ReplyTo": None,
        "Date": 1_704_099_600 + number,
        "Message": text,
        "Media": None,
        "Entities": [{"Offset": 0, "Length": 5}],
        "EditDate": 0,
    }
    return {"id": number, "type": "message", "file": "", "raw": told | more}


def tdl(path: Path, *messages: Any) -> Path:
    path.write_text(json.dumps({"id": CHAT_ID, "messages": list(messages)}))
    return path


def test_tdls_raw_export_is_read(tmp_path):
    """It is newest first, and tells peers by the names of their fields."""
    path = tdl(
        tmp_path / "tdl-export.json",
        raw(6, None, "from the channel", FwdFrom={"Date": 5, "FromID": {"UserID": 7}}),
        raw(5, 101, "chart", Media={"Photo": {"ID": 1}}, EditDate=1_704_100_000),
        raw(3, 102, "thanks", ReplyTo={"ReplyToMsgID": 2, "ReplyToPeerID": {"ChatID": 9}}),
        raw(2, 101, "TP1", ReplyTo={"ReplyToMsgID": 1, "ReplyToPeerID": None}),
        raw(1, 101, "#idea BTC/USDT LONG"),
    )
    export = Export(path)
    found = {one.id: one for one in export.messages()}

    assert export.chat.id == GROUP
    assert list(found) == [1, 2, 3, 5, 6]
    assert [one.author for one in found.values()] == [101, 101, 102, 101, GROUP]
    assert found[2].reply_to == MessageRef(GROUP, 1)
    assert found[3].reply_to == MessageRef(-9, 2)
    assert [one.id for one in found.values() if one.forwarded] == [6]
    assert found[5].media.kind == "photo"
    assert (found[5].edited_at, found[1].edited_at) == (1_704_100_000, None)
    assert (found[1].text, found[1].at) == ("#idea BTC/USDT LONG", 1_704_099_601)


@pytest.mark.parametrize("more", [{}, {"date": 1_704_099_600, "text": "#idea BTC"}])
def test_tdls_other_exports_are_refused_by_name_with_what_to_do(tmp_path, more):
    path = tdl(tmp_path / "e.json", {"id": 5, "type": "message", "file": "a.jpg"} | more)
    assert refused(path) == (
        f"{path} is an export of tdl, which tells neither who wrote a message nor what it answers: "
        "export again with `tdl chat export --all --with-content --raw`, or from Telegram Desktop as JSON"
    )


CSV = """id,date,from_id,from,reply_to,text
3,2024-01-01T09:03:00,user102,Bob,1,"thanks,
great"
1,1704099660,101,Алиса,,#идея BTC/USDT LONG
2,2024-01-01 09:02:00+00:00,-1001777000111,,1.0,TP1
"""


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_is_read_where_it_says_what_a_decision_needs(tmp_path, separator, mark):
    path = tmp_path / "chat.csv"
    text = CSV.replace(",\n", "%").replace(",", separator).replace("%", ",\n")
    path.write_text(mark + text, encoding="utf-8")
    export = Export(path, chat=str(GROUP))
    found = list(export.messages())

    assert [(one.id, one.author, one.at) for one in found] == [
        (1, 101, 1_704_099_660),
        (2, GROUP, 1_704_099_720),
        (3, 102, 1_704_099_780),
    ]
    assert [one.reply_to and one.reply_to.message_id for one in found] == [None, 1, 1]
    assert found[0].text == "#идея BTC/USDT LONG"
    assert found[2].text == "thanks,\ngreat"
    assert found[2].author_name == "Bob"


@pytest.mark.parametrize(
    ("text", "how", "why"),
    [
        (
            CSV,
            {},
            "is CSV, which does not say of which chat it is: give its id, such as --chat -100",
        ),
        (CSV, {"chat": "Signals"}, "which does not say of which chat it is"),
        (
            "id,date,text\n1,2,3\n",
            {"chat": "-1005"},
            "CSV without a column for from_id, reply_to_m",
        ),
        ("time,author,text\n", {"chat": "-1005"}, "CSV without a column for id, date, reply_to_m"),
        (CSV + '9,1,"open', {"chat": "-1005"}, "is damaged behind line 5"),
    ],
)
def test_csv_that_lacks_something_is_refused_with_what_it_is(tmp_path, text, how, why):
    path = tmp_path / "chat.csv"
    path.write_text(text, encoding="utf-8")
    assert why in refused(path, **how)


def test_csv_that_is_no_text_is_damaged_and_packed_csv_is_read(tmp_path):
    (tmp_path / "e.csv").write_bytes(CSV.encode() + b"9,1,5,\xff,,x\n")
    assert "is damaged behind line" in refused(tmp_path / "e.csv", chat="-1005")
    (tmp_path / "e.gz").write_bytes(gzip.compress(CSV.encode()))
    assert ids(tmp_path / "e.gz", chat="-1005") == [1, 2, 3]


# ── a chat is to be chosen ────────────────────────────────────────────────────


def test_damage_is_told_where_a_chat_is_to_be_chosen(tmp_path):
    """There may be more chats behind it."""
    path = tmp_path / "e.json"
    raw = dump(account([chat(TALK), chat(TALK, id=5, name="Other"), chat(TALK, id=6)]))
    path.write_bytes(raw[:-300])
    told = refused(path)
    assert "'Signals', -1000000000005 'Other'" in told
    assert told.endswith(
        f"say which chat; {path} is damaged at byte {len(raw) - 300}: it ends too early"
    )
