"""Generated Python code together with the imports it needs."""

from collections.abc import Set
from dataclasses import dataclass

Imports = Set[tuple[str, str]]
"""Modules and names."""


@dataclass(frozen=True)
class Code:
    text: str
    imports: Imports = frozenset()
    is_factory: bool = False
    """Whether the code is a function that returns a default value."""
