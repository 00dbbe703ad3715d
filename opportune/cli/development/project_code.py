"""Calls and imports in the project's Python files, which are parsed and not run."""

import ast
import re
from collections.abc import Iterator, Sequence
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

from opportune.project.layout import PACKAGE, PROJECT, display_path


class Call(NamedTuple):
    """A call in the project's code."""

    location: str
    function: str
    arguments: Sequence[ast.expr]


def _nodes_of_files(pattern: bytes) -> Iterator[tuple[Path, ast.AST]]:
    """Yield the syntax nodes of the files that match a pattern. Parsing all files is slow."""
    for file in sorted((PROJECT / PACKAGE).rglob("*.py")):
        source = file.read_bytes()
        if re.search(pattern, source):
            yield from ((file, node) for node in ast.walk(ast.parse(source, str(file))))


def calls_in_code(pattern: bytes) -> Iterator[Call]:
    """Yield the calls in the project's files that match a pattern."""
    for file, node in _nodes_of_files(pattern):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
            yield Call(f"{display_path(file)}:{node.lineno}", name, arguments)


def imports_in_code(name: str) -> Iterator[str]:
    """Yield what the project's files with a name import, also within functions."""
    for file, node in _nodes_of_files(re.escape(name).encode()):
        module = ""
        if isinstance(node, ast.ImportFrom):
            package = ".".join(file.parent.relative_to(PROJECT).parts)
            module = resolve_name("." * node.level + (node.module or ""), package)
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (f"{module}.{alias.name}".strip(".") for alias in node.names)
            yield module
