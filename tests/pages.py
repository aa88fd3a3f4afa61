"""Reading the HTML pages that the bot draws."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"link", "meta", "path", "rect", "circle"}
ISOLATES = str.maketrans("", "", "\u2068\u2069")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return " ".join(" ".join(parts).translate(ISOLATES).split())

    def all(self, tag: str, kind: str = "") -> list[Element]:
        """Every element below of that tag, and class if one is given; in the page's order."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if tag in {child.tag, "*"} and kind in {"", *child.attributes["class"].split()}:
                    found.append(child)
                found += child.all(tag, kind)
        return found

    def one(self, tag: str, kind: str = "") -> Element:
        (element,) = self.all(tag, kind)
        return element


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {"class": ""})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {"class": ""} | {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(html: str) -> Element:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    (page,) = reader.open
    return page


def number(text: str) -> int:
    return int(text.replace(",", ""))


def tiles(page: Element) -> dict[str, str]:
    found = [tile.text.split(" ", 1) for tile in page.one("ul", "tiles").all("li")]
    return {label: value for value, label in found}


def table(section: Element) -> list[list[str]]:
    """Row by row, the head first."""
    rows = section.one("table").all("tr")
    return [[cell.text for cell in row.all("*") if cell.tag in {"th", "td"}] for row in rows]


def matrix(page: Element) -> Counter[tuple[str, str]]:
    """How often who (row) answered whom (column)."""
    (_, *columns), *rows = table(page.one("section", "answers"))
    return Counter(
        {
            (who, whom): number(cell)
            for who, *cells in rows
            for whom, cell in zip(columns, cells, strict=True)
            if cell
        }
    )


def bars(page: Element, chart: str, series: int, size: str = "wide") -> dict[str, int]:
    """What the tips of a chart's bars say, as "label: number …"; bars of nothing are not drawn."""
    drawing = page.one("figure", chart).one("div", size)
    tips = [
        bar.one("title").text
        for group in drawing.all("g", f"serie-{series}")
        for bar in group.all("g", "bar")
    ]
    split = (re.fullmatch(r"(.*): ([0-9,]+).*", tip) for tip in tips)
    return {match[1]: number(match[2]) for match in split}
