"""What a Sphinx folder says it contains: its `objects.inv`."""

import re
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from opportune.errors import OperatorError

HEADER = b"# Sphinx inventory version 2"
LINE = re.compile(r"(?P<name>.+?)\s+(?P<domain>[^\s:]+):(?P<role>\S+)\s+-?\d+\s+?(?P<uri>\S*)\s+(?P<title>.*)")
MAX_INVENTORY_BYTES = 64 << 20
"""Python's own has less than one million."""


@dataclass
class Inventory:
    title: str
    """The project and its version."""
    pages: list[str] = field(default_factory=list)
    """Paths below the folder; none if it names no pages."""
    symbols: dict[str, tuple[str, str]] = field(default_factory=dict)
    """From `library/os.path.html#os.path.join` to its name and role, `py:function`."""
    modules: set[str] = field(default_factory=set)

    def add(self, line: str) -> None:
        if not (match := LINE.match(line)):
            return
        name, role = match["name"], f"{match['domain']}:{match['role']}"
        uri = match["uri"].removesuffix("$") + (name if match["uri"].endswith("$") else "")
        if role == "std:doc":
            self.pages.append(uri)
        elif role != "std:label" and not role.endswith("Param"):
            self.symbols[uri] = name, role
            self.modules |= {name} if role == "py:module" else set()


def read_inventory(folder: Path) -> Inventory:
    """Raises OperatorError: there is none in the folder, or it cannot be understood."""
    path = folder / "objects.inv"
    try:
        head = path.read_bytes().split(b"\n", 4)
    except OSError as error:
        advice = "give the folder of HTML pages that Sphinx made"
        raise OperatorError(f"{path} cannot be read ({error.strerror}): {advice}.") from error
    if len(head) < 5 or head[0].strip() != HEADER:
        raise OperatorError(f"{path} is no inventory of Sphinx, or one of before 2010: make the pages again.")
    named = [line.decode(errors="replace").partition(":")[2].strip()[:100] for line in head[1:3]]
    inventory = Inventory(" ".join(named).strip())
    for line in _unpacked(head[4], path).splitlines():
        inventory.add(line)
    return inventory


def _unpacked(packed: bytes, path: Path) -> str:
    unpacker = zlib.decompressobj()
    with suppress(zlib.error):
        content = unpacker.decompress(packed, MAX_INVENTORY_BYTES)
        if unpacker.eof:
            return content.decode(errors="replace")
    raise OperatorError(f"{path} is damaged, or larger than {MAX_INVENTORY_BYTES >> 20} MiB: make the pages again.")
