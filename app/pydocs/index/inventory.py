"""What a Sphinx folder says it contains: its `objects.inv`."""

import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from opportune.errors import OperatorError

HEADER = b"# Sphinx inventory version 2"
LINE = re.compile(r"(?P<name>.+?)\s+(?P<domain>[^\s:]+):(?P<role>\S+)\s+-?\d+\s+?(?P<uri>\S*)\s+(?P<title>.*)")
LIMIT = 64 << 20
"""Bytes of an inventory: Python's own has less than one million."""


@dataclass
class Inventory:
    project: str
    version: str
    pages: list[str] = field(default_factory=list)
    """Paths below the folder; none if it names no pages."""
    symbols: dict[str, tuple[str, str]] = field(default_factory=dict)
    """From `library/os.path.html#os.path.join` to its name and role, `py:function`."""

    modules: set[str] = field(default_factory=set)

    @property
    def title(self) -> str:
        return f"{self.project} {self.version}".strip()


def read_inventory(folder: Path) -> Inventory:
    """Raises OperatorError: there is none in the folder, or it cannot be understood."""
    path = folder / "objects.inv"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise OperatorError(f"{folder} has no objects.inv: give the folder of HTML pages that Sphinx made.") from None
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}).") from error
    head = content.split(b"\n", 4)
    if len(head) < 5 or head[0].strip() != HEADER:
        raise OperatorError(f"{path} is no inventory of Sphinx, or one of before 2010: make the pages again.")
    project, version = (line.decode(errors="replace").partition(":")[2].strip() for line in head[1:3])
    inventory = Inventory(project[:100], version[:100])
    for line in _unpacked(head[4], path).splitlines():
        _take(line, inventory)
    return inventory


def _unpacked(packed: bytes, path: Path) -> str:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, LIMIT)
    except zlib.error:
        raise OperatorError(f"{path} is damaged: make the pages again.") from None
    if not unpacker.eof:
        raise OperatorError(f"{path} is cut off or larger than {LIMIT >> 20} MiB: make the pages again.")
    return content.decode(errors="replace")


def _take(line: str, inventory: Inventory) -> None:
    match = LINE.match(line)
    if not match:
        return
    name, role = match["name"], f"{match['domain']}:{match['role']}"
    uri = match["uri"].removesuffix("$") + (name if match["uri"].endswith("$") else "")
    if role == "std:doc":
        inventory.pages.append(uri)
    elif role != "std:label" and not role.endswith("Param"):
        inventory.symbols[uri] = name, role
        if role == "py:module":
            inventory.modules.add(name)
