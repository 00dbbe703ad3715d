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
"""A query in a paragraph."""
FEATURE_IMPORT = re.compile(r"^from app\.books(?:\.\w+)? import (.+)$", re.MULTILINE)
COMMENTS = re.compile(r"(?:#.*\n)*")
CONTINUED_GUIDES = {"testing": "cookbook"}
"""Guides whose snippets use names from the snippets of another guide."""


@dataclass(frozen=True)
class Snippet:
    """A snippet of a guide as the code of a module."""

    guide: Path
    line: int
    """The line of the guide at which the code begins."""
    code: str
    is_excerpt: bool = False
    """Whether it shows only some lines of its class or function, marked as ` ```py`."""

    @property
    def module(self) -> str:
        return f"{guide_name(self.guide).replace('-', '_')}_{self.line}"

    @property
    def imports(self) -> dict[str, str]:
        """Import statements for the names of this snippet, which later snippets use."""
        body = ast.parse(self.code).body
        names = {name: f"from {PACKAGE}.{self.module} import {name}" for name in _defined_names(body)}
        return dict(_imports_by_name(body)) | names

    @property
    def undefined_names(self) -> set[str]:
        """Names that the code uses and does not define."""
        table = symtable.symtable(self.code, self.module, "exec")
        defined = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
        used = {*_referenced_globals(table), *_annotation_names(self.code)}
        return {name for name in used if name not in defined and not hasattr(builtins, name)}


def _defined_names(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _imports_by_name(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.ImportFrom):
            yield from (
                (alias.asname or alias.name, f"from {node.module} import {ast.unparse(alias)}") for alias in node.names
            )
        elif isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, f"import {ast.unparse(alias)}") for alias in node.names)


def _referenced_globals(table: symtable.SymbolTable) -> Iterator[str]:
    is_module = table.get_type() == "module"
    for symbol in table.get_symbols():
        is_internal = symbol.get_name() == "__conditional_annotations__"  # of the compiler of Python 3.14
        if symbol.is_referenced() and (is_module or symbol.is_global()) and not is_internal:
            yield symbol.get_name()
    for child in table.get_children():
        yield from _referenced_globals(child)


def _annotation_names(code: str) -> Iterator[str]:
    """Yield names in annotations of variables. Python 3.14 does not compile those of local variables."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.AnnAssign):
            yield from (name.id for name in ast.walk(node.annotation) if isinstance(name, ast.Name))


def guide_name(guide: Path) -> str:
    """Return the name of a page, or the folder of a guide for coding agents."""
    return guide.parent.name if guide.stem == "SKILL" else guide.stem


def find_snippets(guide: Path) -> list[Snippet]:
    text = guide.read_text(encoding="utf-8")
    blocks = [(match.start(2), match[2], match[1] == "py") for match in BLOCK.finditer(text)]
    queries = [(match.start(1), f"{match[1]}\n", True) for match in QUERY.finditer(text)]
    numbered = ((text.count("\n", 0, start) + 1, code, excerpt) for start, code, excerpt in sorted(blocks + queries))
    return [_snippet(guide, line, code, excerpt) for line, code, excerpt in numbered]


def _snippet(guide: Path, line: int, code: str, is_excerpt: bool) -> Snippet:
    """Indent lines of a class or function below a class, and leave out imports from the guide's feature."""
    comments = COMMENTS.match(code)
    comment_end = comments.end() if comments else 0
    if code[comment_end] == " ":
        return Snippet(
            guide, line + code.count("\n", 0, comment_end) - 1, f"class Fragment:\n{code[comment_end:]}", True
        )
    return Snippet(guide, line, FEATURE_IMPORT.sub("pass  # \\1", code), is_excerpt)


def write_modules(guides: Sequence[Path], surroundings: str, folder: Path) -> None:
    """Write a package with a module for each snippet. Lines have the same numbers as in the guide.

    Args:
        guides: Guides with snippets.
        surroundings: Module with the names that no earlier snippet of the guide defines.
        folder: Folder of the package.
    """
    path = Path(*surroundings.split(".")).with_suffix(".py")
    imports = dict(_imports_by_name(ast.parse(path.read_text(encoding="utf-8")).body))
    package = folder / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    by_guide: dict[str, dict[str, str]] = {}
    for guide in sorted(guides):
        continued = CONTINUED_GUIDES.get(guide_name(guide), "")
        statements = by_guide[guide_name(guide)] = dict(by_guide.get(continued, imports))
        previous_imports: dict[str, str] = {}
        for snippet in find_snippets(guide):
            available = statements | previous_imports if QUERY.fullmatch(f"`{snippet.code.strip()}`") else statements
            defaults = {name: f"from {surroundings} import {name}" for name in sorted(snippet.undefined_names)}
            lines = [available.get(name, default) for name, default in defaults.items()]
            module = "; ".join(lines) + "\n" * max(snippet.line - 1, 1) + snippet.code
            (package / f"{snippet.module}.py").write_text(module, encoding="utf-8")
            previous_imports = snippet.imports
            statements |= {
                name: line for name, line in snippet.imports.items() if not (snippet.is_excerpt and name in statements)
            }
