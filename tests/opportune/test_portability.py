"""Portability to Windows and macOS. CI also runs mypy for these platforms."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from opportune.project.layout import PROJECT

TEXT_CALLS = {"read_text": 0, "write_text": 1}
"""Functions with a default encoding that depends on the platform, and the position of its argument."""


def python_files() -> Iterator[Path]:
    yield PROJECT / "oppman.py"
    for folder in ("opportune", "app", "migrations"):
        yield from (PROJECT / folder).rglob("*.py")


OPEN_CALL = re.compile(rf"(?<![.\w])open\(|\.(?:{'|'.join(TEXT_CALLS)})\((?!encoding=)")


def calls_without_encoding(code: str) -> Iterator[int]:
    if not OPEN_CALL.search(code):
        return
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and not any(keyword.arg == "encoding" for keyword in node.keywords):
            if isinstance(node.func, ast.Attribute) and len(node.args) <= TEXT_CALLS.get(node.func.attr, -1):
                yield node.lineno
            if isinstance(node.func, ast.Name) and node.func.id == "open" and not is_binary(node):
                yield node.lineno


def is_binary(call: ast.Call) -> bool:
    modes = [argument.value for argument in call.args[1:2] if isinstance(argument, ast.Constant)]
    return any("b" in str(mode) for mode in modes)


def test_files_are_opened_with_an_encoding() -> None:
    codes = {path.relative_to(PROJECT): path.read_text(encoding="utf-8") for path in python_files()}
    assert [f"{path}:{line}" for path, code in codes.items() for line in calls_without_encoding(code)] == []
