"""What SQLAlchemy compiles for each table, compiled once: the text of a row's `__init__` is the same for most."""

from functools import lru_cache
from types import CodeType
from typing import Any

from sqlalchemy.orm import instrumentation


def install() -> None:
    """Have the tables declared from now on share it."""
    instrumentation.exec = execute  # type: ignore[attr-defined]  # which takes the place of Python's in that module


def execute(text: str, names: dict[str, Any]) -> None:
    exec(_compiled(text), names)  # noqa: S102 - as there


@lru_cache(maxsize=16)
def _compiled(text: str) -> CodeType:
    return compile(text, "<string>", "exec")
