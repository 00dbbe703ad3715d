"""`.env.example`: each setting with its words and its default, as a line to uncomment.

`python -m opportune.env_example` writes it anew, from the settings of the project and of its features.
"""

import ast
import inspect
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from opportune.settings import BaseSettings

HEADING = "# Copy the lines that you change to .env, without the # before them.\n"


def env_example(kinds: Sequence[type[BaseSettings]]) -> str:
    """The text for these classes, the site's own first; what two of them read stands there once."""
    entries: dict[str, str] = {}
    for kind in kinds:
        for name, entry in _entries(kind):
            entries.setdefault(name, entry)
    return "\n".join([HEADING, *entries.values()])


def _entries(kind: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    words = docstrings(kind)
    for name, field in kind.model_fields.items():
        default = setting_text(field.get_default(call_default_factory=True, validated_data={}))
        yield name, "".join(f"# {line}\n" for line in (words.get(name, ""), f"{name.upper()}={default}") if line)


def docstrings(kind: type[BaseSettings]) -> dict[str, str]:
    """The words below each setting, read from the source: to keep them at run time would slow down every start."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if issubclass(each, BaseSettings):
            found |= _docstrings_in(each)
    return found


def _docstrings_in(kind: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    # Python's own way to the source of a class goes through all of its file, and then the class is to be parsed again.
    source = Path(inspect.getfile(kind)).read_bytes()
    classes = dict(_classes_in(ast.parse(source)))
    for setting, words in pairwise(classes[kind.__qualname__].body):
        match setting, words:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, text


def _classes_in(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    """The classes in it, as Python names them."""
    for each in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner += f"{each.name}." if isinstance(each, ast.ClassDef) else f"{each.name}.<locals>."
        if isinstance(each, ast.ClassDef):
            yield f"{prefix}{each.name}", each
        if not isinstance(each, ast.expr):
            yield from _classes_in(each, inner)


def setting_text(value: Any) -> str:
    """A value as `.env` has it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)


if __name__ == "__main__":
    from opportune.project import PROJECT
    from opportune.settings import settings_classes

    (PROJECT / ".env.example").write_text(env_example(settings_classes()), encoding="utf-8")
