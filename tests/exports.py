"""Exports for tests and benchmarks, as Telegram Desktop writes them.

Run `python -m tests.exports generate OUT --messages N --seed S` for a big one.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SAMPLE = Path(__file__).parent.parent / "data" / "sample_export.json"
CHAT_ID = 1777000111  # bare; Bot API's is -1001777000111
START = 1_704_099_600  # 2024-01-01 09:00 UTC


def message(
    id: int = 1,  # noqa: A002  # the export's own word
    from_id: object = "user101",
    text: Any = "hello",
    *,
    reply_to: int | None = None,
    at: int | None = None,
    entities: list[dict[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One message; `more` adds keys or replaces them. Without `at`, ids are minutes."""
    at = START + 60 * id if at is None else at
    made = {"id": id, "type": "message"} | dates(at)
    made |= {"from": f"Name of {from_id}", "from_id": from_id}
    if reply_to is not None:
        made["reply_to_message_id"] = reply_to
    plain = [{"type": "plain", "text": text}] if text else []
    made |= {"text": text, "text_entities": plain if entities is None else entities}
    return made | more


def service(id: int = 1, actor_id: object = "user101", **more: Any) -> dict[str, Any]:  # noqa: A002  # the export's own word
    made = {"id": id, "type": "service"} | dates(START + 60 * id)
    made |= {"actor": f"Name of {actor_id}", "actor_id": actor_id, "action": "join_group_by_link"}
    return made | {"text": "", "text_entities": []} | more


def dates(at: int) -> dict[str, str]:
    date = datetime.fromtimestamp(at, tz=UTC).replace(tzinfo=None)
    return {"date": date.isoformat(), "date_unixtime": str(at)}


def chat(
    messages: Iterable[Any] = (),
    *,
    id: Any = CHAT_ID,  # noqa: A002  # the export's own word
    name: str | None = "Signals",
    type: str | None = "private_supergroup",  # noqa: A002  # the export's own word
) -> dict[str, Any]:
    return {"name": name, "type": type, "id": id, "messages": list(messages)}


def account(chats: Iterable[Any] = (), left_chats: Iterable[Any] = ()) -> dict[str, Any]:
    """The export of a whole account, with what stands around the chats in a real one."""
    return {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": 101, "first_name": "Name", "phone_number": "+0"},
        "contacts": {"about": "", "list": [{"user_id": 102, "first_name": "Other"}]},
        "frequent_contacts": {"about": "", "list": [{"id": 102, "type": "user", "name": "Other"}]},
        "chats": {"about": "This page lists all chats.", "list": list(chats)},
        "left_chats": {"about": "", "list": list(left_chats)},
    }


def dump(document: Any) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def write(path: Path, *messages: Any, **about: Any) -> Path:
    """The export of one chat; `about` is what `chat` takes."""
    path.write_bytes(dump(chat(messages, **about)))
    return path


# ── big ones ──────────────────────────────────────────────────────────────────

SIGNALS = 0.05
REPLIES = 0.25
BY_OWNER, BY_STRANGER = 0.40, 0.45  # of the replies; what is left answers unknown messages
NESTED = 0.3  # of the replies into flows answer an update or another reply
QUIET = 0.002  # chance that the next message comes days later, so that flows expire
OPEN_FLOWS = 40  # people answer recent signals

CALLERS = {1001: "Марк Т.", 1002: "Elena Ray", 1003: "Глеб Анин"}
TALKERS = {2000 + n: f"Участник {n}" for n in range(1, 60)}
NAMES = CALLERS | TALKERS
PAIRS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "TON/USDT", "LINK/USDT", "AVAX/USDT", "DOGE/USDT")
UPDATES = (
    "Тейк 1 взят ✅",
    "TP1 hit, стоп в безубыток",
    "Закрыл половину, остальное держу",
    "Стоп, идём дальше",
    "Идея отработала, закрываю полностью 🎯",
    "Переносим стоп на вход",
)
ECHOES = (
    "спасибо!",
    "а стоп куда?",
    "меня выбило по стопу 😢",
    "заходить ещё не поздно?",
    "тоже закрыл, +3%",
    "thanks, great call",
    "какое плечо?",
    "тейк 2 ждём или хватит?",
)
CHATTER = (
    "Всем доброе утро ☕",
    "биток опять пилит 🥱",
    "что думаете по эфиру?",
    "Volume is dead today, I'd rather wait for New York.",
    "фандинг высокий, аккуратнее с лонгами",
    "Ребята, кто смотрел отчёт по инфляции? Вышло хуже ожиданий, поэтому и льют с самого утра",
    "у меня биржа лагает или у всех?",
    "ушёл спать, всем профита",
    "https://example.com/calendar тут все новости недели",
    "согласен",
)


@dataclass
class _Thread:
    owner: int
    ids: list[int]


def generate(path: Path, *, messages: int, seed: int = 1) -> Path:
    """Write a realistic export, with no more than one message of it in memory."""
    with path.open("w", encoding="utf-8") as file:
        head = json.dumps(chat(), indent=1, ensure_ascii=False)
        file.write(head.removesuffix("]\n}"))
        for number, made in enumerate(_talk(messages, random.Random(seed))):
            body = json.dumps(made, indent=1, ensure_ascii=False).replace("\n", "\n  ")
            file.write(f"{',' if number else ''}\n  {body}")
        file.write("\n ]\n}")
    return path


def _talk(count: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    flows: deque[_Thread] = deque(maxlen=OPEN_FLOWS)
    at = START
    for id_ in range(1, count + 1):
        at += chance.randint(80, 110) * 3600 if chance.random() < QUIET else chance.randint(1, 240)
        drawn = chance.random()
        if drawn < SIGNALS:
            made = _signal(id_, at, chance)
            flows.append(_Thread(int(made["from_id"].removeprefix("user")), [id_]))
        elif drawn < SIGNALS + REPLIES and flows:
            made = _reply(id_, at, chance, chance.choice(flows))
        else:
            made = _said(id_, at, chance.choice(list(NAMES)), chance.choice(CHATTER))
        yield made


def _signal(id_: int, at: int, chance: random.Random) -> dict[str, Any]:
    marker = chance.choice(("#идея", "#Идея", "#idea"))
    pair, side = chance.choice(PAIRS), chance.choice(("LONG", "SHORT"))
    price = chance.randint(10, 70_000)
    rest = (
        f" {pair} {side} {chance.choice(('15м', '1Ч', '4Ч', '1Д'))}\n"
        f"Вход: {price}-{price + 2}\nТейк 1: {price + 9}\nТейк 2: {price + 20}\n"
        f"Стоп: {price - 8}\nРиск: {chance.choice((1, 2, 3))}%"
    )
    tag = {"type": "hashtag", "text": marker}
    made = _said(id_, at, chance.choice(list(CALLERS)), [tag, rest])
    if chance.random() < 0.4:
        made |= {"photo": "(File not included.)", "width": 1280, "height": 720}
    return made


def _reply(id_: int, at: int, chance: random.Random, flow: _Thread) -> dict[str, Any]:
    drawn = chance.random()
    parent = chance.choice(flow.ids) if chance.random() < NESTED else flow.ids[0]
    if drawn < BY_OWNER:
        flow.ids.append(id_)
        return _said(id_, at, flow.owner, chance.choice(UPDATES), parent)
    stranger = chance.choice([user for user in NAMES if user != flow.owner])
    if drawn < BY_OWNER + BY_STRANGER:
        flow.ids.append(id_)
        return _said(id_, at, stranger, chance.choice(ECHOES), parent)
    return _said(id_, at, stranger, chance.choice(ECHOES), 1_000_000_000 + id_)


def _said(
    id_: int, at: int, user: int, text: str | list[Any], reply_to: int | None = None
) -> dict[str, Any]:
    entities = [
        {"type": "plain", "text": part} if isinstance(part, str) else part
        for part in ([text] if isinstance(text, str) else text)
    ]
    return message(
        id_,
        f"user{user}",
        text,
        reply_to=reply_to,
        at=at,
        entities=entities,
        **{"from": NAMES[user]},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    command = parser.add_subparsers(required=True).add_parser("generate")
    command.add_argument("out", type=Path)
    command.add_argument("--messages", type=int, required=True)
    command.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(generate(asked.out, messages=asked.messages, seed=asked.seed))


if __name__ == "__main__":
    main()
