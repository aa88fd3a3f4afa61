"""How many small mistakes in what decides would a test notice?

    python -m tests --mutants                                   twenty by chance of each module
    python -m tests --mutants bot/rules/policy.py --sample 0    all of one
    python -m tests --mutants alerts health --sample 60 --seed 7

A mutant is one such mistake: a comparison shifted, a condition turned round or left out, a number
off by one, a statement taken out, None returned. Each is made in a copy of the tree, and the tests that
`mutants.toml` names for the module run there until one fails. A mutant that they all pass over is a
survivor: a test is missing. Where nobody could ever tell the difference, that file says why.

Left alone are what only types or log lines are made of: annotations, asserts, protocols, log calls, and texts.
"""

from __future__ import annotations

import argparse
import ast
import random
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.sabotage import ROOT, changed, copy_tree
from tests.warm import WarmPytest

TABLE = Path(__file__).parent / "mutants.toml"
SAMPLE = 20
IN_PROCESS = ("-m", "not played")  # the same over PostgreSQL shows nothing more, and takes minutes
PATIENCE = 120.0  # seconds for the tests as they are; with a mutant, five times what they took
SMALL = 100  # a larger number is doubled and halved: nobody counts on its last digit
SWAPS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
# Their arguments are conditions of a query.
CONDITIONS = frozenset({"where", "and_", "or_"})
LOGS = frozenset({"log", "_log"})


@dataclass(frozen=True)
class Mutant:
    file: str
    line: int
    where: str  # the function, with its class
    old: str
    new: str
    span: tuple[int, int]  # of the old text, in bytes
    number: int = 1  # of those that read alike in one function

    @property
    def name(self) -> str:
        """The same whatever is moved around the function."""
        name = f"{self.where}: {_one_line(self.old)} → {_one_line(self.new)}"
        return name if self.number == 1 else f"{name} ({self.number})"

    def applied(self, source: bytes) -> bytes:
        begin, end = self.span
        return source[:begin] + self.new.encode() + source[end:]


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _Finder:
    """Walks a module and collects what can be changed in it."""

    def __init__(self, file: str, source: str) -> None:
        self._file = file
        self._source = source.encode()
        self._starts = [0]
        for line in source.encode().splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._where: list[str] = []
        self.found: list[Mutant] = []

    def module(self, tree: ast.Module) -> None:
        for statement in tree.body:
            self._visit(statement)

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self._starts[node.lineno - 1] + node.col_offset,
            self._starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def _change(self, node: ast.AST, new: ast.AST | str) -> None:
        begin, end = self._span(node)
        text = new if isinstance(new, str) else f"({ast.unparse(new)})"
        old = self._source[begin:end].decode()
        where = ".".join(self._where) or "<module>"
        self.found.append(Mutant(self._file, node.lineno, where, old, text, (begin, end)))

    def _visit(self, node: ast.AST) -> None:
        if _untouched(node):
            return
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if named:
            self._where.append(node.name)
        if change := getattr(self, f"_{type(node).__name__.lower()}", None):
            change(node)
        for child in _children(node):
            self._visit(child)
        if named:
            self._where.pop()

    # ── expressions ──

    def _compare(self, node: ast.Compare) -> None:
        for number, operator in enumerate(node.ops):
            for swapped in SWAPS[type(operator)]:
                ops = [*node.ops[:number], swapped(), *node.ops[number + 1 :]]
                self._change(node, ast.Compare(node.left, ops, node.comparators))

    def _boolop(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._change(node, ast.BoolOp(other, node.values))
        for number in range(len(node.values)):
            left = [*node.values[:number], *node.values[number + 1 :]]
            self._change(node, left[0] if len(left) == 1 else ast.BoolOp(node.op, left))

    def _unaryop(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self._change(node, node.operand)

    def _binop(self, node: ast.BinOp) -> None:
        if other := ARITHMETIC.get(type(node.op)):
            self._change(node, ast.BinOp(node.left, other(), node.right))

    def _constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._change(node, str(not value))
        elif isinstance(value, int | float):
            large = abs(value) > SMALL
            for new in (value * 2, value // 2) if large else (value + 1, value - 1):
                self._change(node, f"({new})")

    def _ifexp(self, node: ast.IfExp) -> None:
        self._negate(node.test)

    def _call(self, node: ast.Call) -> None:
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
        if name not in CONDITIONS:
            return
        for number in range(len(node.args)):
            left = [*node.args[:number], *node.args[number + 1 :]]
            if left:
                self._change(node, ast.Call(called, left, node.keywords))
            elif name == "where":
                self._change(node, called.value)

    def _comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._change(test, "True")

    # ── statements ──

    def _if(self, node: ast.If) -> None:
        self._negate(node.test)

    def _while(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._negate(node.test)

    def _match_case(self, node: ast.match_case) -> None:
        if node.guard is not None:
            self._change(node.guard, "True")

    def _return(self, node: ast.Return) -> None:
        nothing = node.value is None or (
            isinstance(node.value, ast.Constant) and node.value.value is None
        )
        if not nothing:
            self._change(node, "return None")

    def _expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self._change(node, "pass")

    def _raise(self, node: ast.Raise) -> None:
        self._change(node, "pass")

    def _delete(self, node: ast.Delete) -> None:
        self._change(node, "pass")

    def _break(self, node: ast.Break) -> None:
        self._change(node, "continue")

    def _continue(self, node: ast.Continue) -> None:
        self._change(node, "break")

    def _assign(self, node: ast.Assign) -> None:
        """A name that is never given a value is noticed by anything."""
        made = "__init__" in self._where
        if not made and any(
            isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets
        ):
            self._change(node, "pass")

    def _augassign(self, node: ast.AugAssign) -> None:
        self._change(node, "pass")

    def _negate(self, test: ast.expr) -> None:
        if not isinstance(test, ast.Compare | ast.UnaryOp):  # which are turned round by themselves
            self._change(test, ast.UnaryOp(ast.Not(), test))


def _untouched(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr() | ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case ast.ClassDef(bases=bases):
            return any("Protocol" in ast.unparse(base) for base in bases)
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return name in LOGS
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Attribute(attr=name)))):
            return name in LOGS
    return False


def _children(node: ast.AST) -> Iterator[ast.AST]:
    skipped = {"annotation", "returns", "decorator_list", "type_params", "pattern", "bases"}
    if isinstance(node, ast.ClassDef):
        skipped.add("keywords")
    for name, value in ast.iter_fields(node):
        if name in skipped:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child


def mutants_of(file: str, source: str) -> list[Mutant]:
    """In the order of the file, each once, and none that is no Python."""
    finder = _Finder(file, source)
    finder.module(ast.parse(source))
    seen = Counter()
    numbered = []
    for mutant in dict.fromkeys(finder.found):
        seen[mutant.name] += 1
        numbered.append(replace(mutant, number=seen[mutant.name]))
    return numbered


# ── running them ──


@dataclass(frozen=True)
class Module:
    file: str
    tests: list[str]
    equivalent: dict[str, str]  # name of a mutant: why nobody can tell


def read_table(path: Path = TABLE) -> list[Module]:
    return [
        Module(each["file"], each["tests"], each.get("equivalent", {}))
        for each in tomllib.loads(path.read_text("utf-8"))["module"]
    ]


def unknown_equivalents(module: Module, root: Path = ROOT) -> list[str]:
    """Those of the table that are no mutants of the code of today."""
    source = (root / module.file).read_text("utf-8")
    names = {mutant.name for mutant in mutants_of(module.file, source)}
    return [name for name in module.equivalent if name not in names]


def sampled(mutants: Sequence[Mutant], number: int, seed: int) -> list[Mutant]:
    """0: all of them."""
    if not number or number >= len(mutants):
        return list(mutants)
    chosen = random.Random(seed).sample(mutants, number)
    return sorted(chosen, key=mutants.index)


def survives(
    mutant: Mutant, tree: Path, pytest: WarmPytest, tests: Sequence[str], patience: float
) -> bool:
    """A test that fails, or hangs, or cannot be imported any more notices it."""
    file = tree / mutant.file
    text = mutant.applied(file.read_bytes()).decode()
    with changed(file, text):
        return pytest.run(tree, [*IN_PROCESS, *tests], patience=patience).code == 0


def hunted(module: Module, mutants: Sequence[Mutant], tree: Path, pytest: WarmPytest) -> Counter:
    """How many were killed, survived, and are equivalent. Raises `SystemExit` where the tests fail as it is."""
    whole = pytest.run(tree, [*IN_PROCESS, *module.tests], patience=PATIENCE)
    if whole.code != 0:
        sys.exit(f"{module.file}: its tests fail without any mutant\n{whole.output}")
    count = Counter()
    for mutant in mutants:
        if mutant.name in module.equivalent:
            count["equivalent"] += 1
            continue
        alive = survives(mutant, tree, pytest, module.tests, 10 + 5 * whole.seconds)
        count["survived" if alive else "killed"] += 1
        if alive:
            print(f"{mutant.file}:{mutant.line} survives: {mutant.name}", flush=True)
    return count


def told(file: str, count: Counter) -> str:
    tried = count["killed"] + count["survived"]
    share = 100 * count["killed"] / tried if tried else 100
    return (
        f"{file}: {share:.0f} % ({count['killed']} of {tried} killed,"
        f" {count['equivalent']} equivalent)"
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests --mutants")
    parser.add_argument("words", nargs="*", help="parts of modules' paths")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="of each module; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    given = parser.parse_args(arguments)
    total = Counter()
    with tempfile.TemporaryDirectory() as directory, WarmPytest() as pytest:
        tree = copy_tree(Path(directory))
        for module in read_table():
            if given.words and not any(word in module.file for word in given.words):
                continue
            found = mutants_of(module.file, (tree / module.file).read_text("utf-8"))
            chosen = sampled(found, given.sample, given.seed)
            count = hunted(module, chosen, tree, pytest)
            print(f"{told(module.file, count)} of {len(found)}", flush=True)
            total += count
    print(told("all", total))
    return total["survived"] > 0
