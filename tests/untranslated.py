"""Texts for people that are put together so that no catalogue can have them.

A catalogue knows what `phrase` and its like are given. It cannot miss a text that never came by them, so this looks at
where texts reach people: what is said and asked in a terminal or a chat, and errors that an operator is answered with.
"""

from __future__ import annotations

import ast
import re

WORD = re.compile(r"[A-Za-z]{2,}")
# Methods whose arguments people read.
SAYS = {
    "say",
    "ask",
    "yes",
    "choose",
    "_name",
    "_chat",
    "chat",
    "_say",
    "_tell",
    "_notice",
    "_data",
}
SAYS |= {"tell", "_fault", "_raise", "Finding", "notice", "data", "Button", "Row"}
# What is wrong with a setting, and what is kept to be shown later.
SAYS |= {"fault", "named", "NotShown", "Failure", "GivenUp", "PrivateAddress", "WrongKey"}
SAYS |= {
    "post_failed",
    "post_delayed",
    "_refused",
    "_concerning",
    "UnreadableMessage",
    "Unreadable",
}
ERRORS = re.compile(
    r"\w*(?:Error|Refused|Unavailable|Later|Gone|Limited|WrongKey|NotTranslated|LoggedOut|VoidLogin)"
)


def of_source(text: str, name: str = "") -> list[str]:
    """Each with its file and line."""
    found = []
    for call in ast.walk(ast.parse(text)):
        if isinstance(call, ast.Call) and reaches_people(call.func):
            arguments = [
                *call.args,
                *(each.value for each in call.keywords if each.arg in {None, "text"}),
            ]
            for each in arguments:
                found += [f"{name}:{each.lineno}: {ast.unparse(each)}" for each in bare(each)]
    return list(dict.fromkeys(found))


def reaches_people(function: ast.expr) -> bool:
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return called in SAYS or bool(ERRORS.fullmatch(called))


def bare(text: ast.expr) -> list[ast.expr]:
    """The parts of an expression that are words of ours, in English for good."""
    match text:
        case ast.Constant(value=str() as said):
            return [text] if " " in said.strip() or said.endswith(("?", ":")) else []
        case ast.JoinedStr(values=parts):
            said = [each.value for each in parts if isinstance(each, ast.Constant)]
            return [text] if WORD.search(" ".join(said)) else []
        case ast.BinOp(left=left, right=right):
            return bare(left) + bare(right)
        case ast.Call(func=ast.Name(id="joined"), args=[_, ast.List(elts=each)]):
            return [one for part in each for one in bare(part)]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="join" | "format")):
            return [text]  # whatever is put together so is English from then on
        case ast.IfExp(body=one, orelse=other):
            return bare(one) + bare(other)
    return []
