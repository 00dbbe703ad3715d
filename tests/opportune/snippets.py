"""Python snippets of the guides as modules for mypy, with imports of the names that surround them."""

import ast
import builtins
import re
import symtable
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "snippets"
BLOCK = re.compile(r"^```(py|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
QUERY = re.compile(r"`(select\(\w+\)\.options\([^`…]*\))`")
"""A query in the running text."""
OF_PROJECT = re.compile(r"^from app\.books(?:\.\w+)? import (.+)$", re.MULTILINE)
COMMENTS = re.compile(r"(?:#.*\n)*")
CONTINUED = {"testing": "cookbook"}
"""Guides whose snippets use those of another guide."""


@dataclass(frozen=True)
class Snippet:
    """A snippet of a guide as the code of a module."""

    guide: Path
    line: int
    """The line of the guide at which the code begins."""
    code: str
    is_excerpt: bool = False
    """Whether it shows only some lines of what it defines: ` ```py`."""

    @property
    def module(self) -> str:
        return f"{self.guide.stem.replace('-', '_')}_{self.line}"

    @property
    def imports(self) -> dict[str, str]:
        """The statements that give later snippets the names of this one."""
        body = ast.parse(self.code).body
        return dict(_imports_of(body)) | {
            name: f"from {PACKAGE}.{self.module} import {name}" for name in _defined(body)
        }

    @property
    def missing(self) -> set[str]:
        """The names that the code reads and does not define."""
        table = symtable.symtable(self.code, self.module, "exec")
        bound = {each.get_name() for each in table.get_symbols() if each.is_assigned() or each.is_imported()}
        return {name for name in _globals_of(table) if name not in bound and not hasattr(builtins, name)}


def _defined(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _imports_of(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.ImportFrom):
            yield from (
                (each.asname or each.name, f"from {node.module} import {ast.unparse(each)}") for each in node.names
            )
        elif isinstance(node, ast.Import):
            yield from ((each.asname or each.name, f"import {ast.unparse(each)}") for each in node.names)


def _globals_of(table: symtable.SymbolTable) -> Iterator[str]:
    is_module = table.get_type() == "module"
    used = (each for each in table.get_symbols() if each.is_referenced() and (is_module or each.is_global()))
    yield from (each.get_name() for each in used)
    for child in table.get_children():
        yield from _globals_of(child)


def snippets_of(guide: Path) -> list[Snippet]:
    text = guide.read_text(encoding="utf-8")
    blocks = [(found.start(2), found[2], found[1] == "py") for found in BLOCK.finditer(text)]
    queries = [(found.start(1), f"{found[1]}\n", True) for found in QUERY.finditer(text)]
    found = sorted(blocks + queries)
    return [_snippet(guide, text.count("\n", 0, start) + 1, code, excerpt) for start, code, excerpt in found]


def _snippet(guide: Path, line: int, code: str, is_excerpt: bool) -> Snippet:
    """Make lines of a class or function a block, and leave out imports from the project's own feature."""
    comments = COMMENTS.match(code)
    ends = comments.end() if comments else 0
    if code[ends] == " ":
        return Snippet(guide, line + code.count("\n", 0, ends) - 1, f"class Fragment:\n{code[ends:]}", True)
    return Snippet(guide, line, OF_PROJECT.sub("pass  # \\1", code), is_excerpt)


def write_modules(guides: Sequence[Path], surroundings: str, folder: Path) -> None:
    """Write a package with a module for each snippet, in which a line has the number that it has in the guide.

    `surroundings` is a module. It has the names that no earlier snippet of the guide defines.
    """
    path = Path(*surroundings.split(".")).with_suffix(".py")
    imports = dict(_imports_of(ast.parse(path.read_text(encoding="utf-8")).body))
    package = folder / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    by_guide: dict[str, dict[str, str]] = {}
    for guide in sorted(guides):
        known = by_guide[guide.stem] = dict(by_guide.get(CONTINUED.get(guide.stem, ""), imports))
        latest: dict[str, str] = {}
        for snippet in snippets_of(guide):
            found = known | latest if QUERY.fullmatch(f"`{snippet.code.strip()}`") else known
            lines = [found.get(name, f"from {surroundings} import {name}") for name in sorted(snippet.missing)]
            module = "; ".join(lines) + "\n" * max(snippet.line - 1, 1) + snippet.code
            (package / f"{snippet.module}.py").write_text(module, encoding="utf-8")
            latest = snippet.imports
            known |= {
                name: line for name, line in snippet.imports.items() if not (snippet.is_excerpt and name in known)
            }
