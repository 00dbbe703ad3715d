"""Limits of size and coupling, which go down, except for mended faults. A failure lists the largest offenders."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from opportune.admin import AdminView
from opportune.project.layout import FRAMEWORK, PROJECT

CORE = {
    *("accounts", "admin", "application", "checks", "config", "crud", "db", "feature", "fields", "jobs", "mail"),
    *("search", "server", "storage", "web"),
}
OPTIONAL = {"contrib", "llm", "ops"}

LIMITS = {
    "code lines of the framework": 88_071,
    "modules in the largest import circle": 1,
    "imports from core into optional parts": 0,
    "deferred imports of own modules outside cli": 31,
    "noqa comments": 60,
    "files directly in opportune": 8,
    "files directly in opportune/cli": 13,
    "adapters": 1,
    "public names of AdminView": 150,
    "lines of tests": 84_950,
}


class Import(NamedTuple):
    module: str
    names: list[str]
    is_deferred: bool


class Module(NamedTuple):
    name: str
    code_lines: int
    noqa: int
    imports: list[Import]
    """Imports of the framework's own modules."""

    @property
    def part(self) -> str:
        return _part(self.name)


def _part(module: str) -> str:
    return ".".join(module.split(".")[1:2])


def _imports(parent: ast.AST, *, is_deferred: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield Import(node.module, [alias.name for alias in node.names], is_deferred)
        elif isinstance(node, ast.Import):
            yield from (Import(alias.name, [], is_deferred) for alias in node.names)
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _imports(node, is_deferred=is_deferred or is_function)


@cache
def modules() -> list[Module]:
    return [_read(path) for path in sorted(FRAMEWORK.rglob("*.py"))]


def _read(path: Path) -> Module:
    name = ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    imports = [each for each in _imports(tree) if each.module.startswith("opportune")]
    return Module(name, _count_code_lines(source, tree), source.count("# noqa"), imports)


def _count_code_lines(source: str, tree: ast.Module) -> int:
    """Count the lines that are not blank, comments or docstrings."""
    expressions = (node for node in ast.walk(tree) if isinstance(node, ast.Expr))
    texts = [node for node in expressions if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)]
    skipped = {line for node in texts for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    lines = enumerate(map(str.strip, source.splitlines()), 1)
    return sum(bool(line) and not line.startswith("#") and number not in skipped for number, line in lines)


def largest_circle() -> set[str]:
    """Return the largest set of modules that import each other, counting deferred and TYPE_CHECKING imports."""
    names = {module.name for module in modules()}
    graph = {
        module.name: {
            target
            for each in module.imports
            for target in {f"{each.module}.{name}" for name in each.names} & names or {each.module} & names
        }
        - {module.name}
        for module in modules()
    }
    reachable = {name: _reachable(graph, name) for name in names}
    circles = ({name} | {other for other in reachable[name] if name in reachable[other]} for name in names)
    return max(circles, key=len)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached


def imports_into_optional_parts() -> Iterator[str]:
    for module in modules():
        targets = (each.module for each in module.imports if module.part in CORE)
        yield from (f"{module.name} -> {target}" for target in targets if _part(target) in OPTIONAL)


def deferred_imports() -> Iterator[str]:
    for module in modules():
        targets = (each.module for each in module.imports if each.is_deferred and module.part != "cli")
        yield from (f"{module.name} -> {target}" for target in targets)


def file_names(pattern: str) -> list[str]:
    return [path.relative_to(FRAMEWORK).as_posix() for path in FRAMEWORK.glob(pattern)]


def lines_of_tests() -> dict[str, int]:
    folder = PROJECT / "tests"
    paths = [path for path in folder.rglob("*.py") if "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes().count(b"\n") for path in paths}


MEASURES: dict[str, Callable[[], Counter[str]]] = {
    "code lines of the framework": lambda: Counter({module.name: module.code_lines for module in modules()}),
    "modules in the largest import circle": lambda: Counter(largest_circle()),
    "imports from core into optional parts": lambda: Counter(imports_into_optional_parts()),
    "deferred imports of own modules outside cli": lambda: Counter(deferred_imports()),
    "noqa comments": lambda: Counter({module.name: module.noqa for module in modules()}),
    "files directly in opportune": lambda: Counter(file_names("*.py")),
    "files directly in opportune/cli": lambda: Counter(file_names("cli/*.py")),
    "adapters": lambda: Counter(file_names("**/*_adapter.py")),
    "public names of AdminView": lambda: Counter(name for name in dir(AdminView) if not name.startswith("_")),
    "lines of tests": lambda: Counter(lines_of_tests()),
}


@pytest.mark.parametrize("figure", LIMITS)
def test_figure_is_within_its_limit(figure: str) -> None:
    offenders = MEASURES[figure]()
    total, limit = offenders.total(), LIMITS[figure]
    largest = "\n".join(f"{count:>6,} {name}" for name, count in offenders.most_common(40))
    assert total <= limit, f"{total:,} {figure}, at most {limit:,}:\n{largest}"
