"""Descriptions of settings, which are the docstrings below them."""

import ast
import inspect
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from opportune.config.base_settings import BaseSettings


def setting_docstrings(class_: type[BaseSettings]) -> dict[str, str]:
    """Return the description below each setting, read from the source, because Python does not keep it."""
    descriptions: dict[str, str] = {}
    for base in reversed(class_.__mro__):
        if issubclass(base, BaseSettings):
            descriptions |= _docstrings_in(base)
    return descriptions


def _docstrings_in(class_: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    source = Path(inspect.getfile(class_)).read_bytes()  # inspect.getsource parses the file a second time
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == class_.__name__:
            yield from _descriptions(node.body)


def _descriptions(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for setting, description in pairwise(body):
        match setting, description:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, text
