"""Names of earlier versions in the code of projects, with the current ones: the table `renames.toml`."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Renames:
    """The table. Its file describes the sections."""

    imports: Mapping[str, str]
    attributes: Mapping[str, Mapping[str, str]]
    """New names by the old ones, by the base class of the framework."""
    actions: Mapping[str, str]
    action_functions: Sequence[str]
    features: Mapping[str, Sequence[str]]
    """Features to list, with those that they need."""

    def find_import(self, module: str, name: str) -> tuple[str, str]:
        """Return the current module and name of a name that was importable from a module."""
        if new := self.imports.get(f"{module}:{name}"):
            new_module, _, new_name = new.partition(":")
            return new_module, new_name
        return self.find_module(module), name

    def find_module(self, module: str) -> str:
        """Return the current name of a module."""
        parts = module.split(".")
        for length in range(len(parts), 0, -1):
            if new := self.imports.get(".".join(parts[:length])):
                return ".".join([new, *parts[length:]])
        return module


@cache
def read_renames() -> Renames:
    table = tomllib.loads(Path(__file__).with_name("renames.toml").read_text(encoding="utf-8"))
    return Renames(
        table["imports"], table["attributes"], table["actions"], table["action_functions"], table["features"]
    )


def find_current_name(error: ImportError) -> str:
    """Return the current name of what code of an earlier version imports; empty if it has no other name."""
    if match := re.match(r"cannot import name '(\w+)' from '([\w.]+)'", str(error)):
        name, module = match.groups()
        old, new = f"{module}.{name}", ".".join(read_renames().find_import(module, name))
    else:
        old, new = error.name or "", read_renames().find_module(error.name or "")
    return new if new != old else ""
