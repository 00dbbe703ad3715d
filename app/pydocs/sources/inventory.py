"""Reader of `objects.inv`, the inventory of a Sphinx build."""

import re
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from opportune.errors import OperatorError

HEADER = b"# Sphinx inventory version 2"
LINE = re.compile(r"(?P<name>.+?)\s+(?P<domain>[^\s:]+):(?P<role>\S+)\s+-?\d+\s+?(?P<uri>\S*)\s+(?P<title>.*)")
MAX_INVENTORY_BYTES = 64 << 20
"""Python's inventory has less than one million bytes."""


@dataclass
class Inventory:
    title: str
    """Project and version."""
    pages: list[str] = field(default_factory=list)
    """Paths below the folder; empty if the inventory lists no pages."""
    symbols: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name and role (such as `py:function`) by URL (`library/os.path.html#os.path.join`)."""
    modules: set[str] = field(default_factory=set)

    def add(self, line: str) -> None:
        if not (match := LINE.match(line)):
            return
        name, role, uri = match["name"], f"{match['domain']}:{match['role']}", match["uri"]
        if uri.endswith("$"):  # abbreviation for the name
            uri = uri.removesuffix("$") + name
        if role == "std:doc":
            self.pages.append(uri)
        elif role != "std:label" and not role.endswith("Param"):
            self.symbols[uri] = name, role
            if role == "py:module":
                self.modules.add(name)


def read_inventory(folder: Path) -> Inventory:
    """Read the inventory of a folder.

    Raises:
        OperatorError: The inventory is missing or invalid.
    """
    path = folder / "objects.inv"
    try:
        lines = path.read_bytes().split(b"\n", 4)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be read ({error.strerror}). Pass the folder of HTML pages built by Sphinx."
        ) from error
    if len(lines) < 5 or lines[0].strip() != HEADER:
        raise OperatorError(f"{path} is not a Sphinx inventory of version 2. Build the pages again.")
    project_and_version = [line.decode(errors="replace").partition(":")[2].strip()[:100] for line in lines[1:3]]
    inventory = Inventory(" ".join(project_and_version).strip())
    for line in _decompress(lines[4], path).splitlines():
        inventory.add(line)
    return inventory


def _decompress(compressed: bytes, path: Path) -> str:
    decompressor = zlib.decompressobj()
    with suppress(zlib.error):
        content = decompressor.decompress(compressed, MAX_INVENTORY_BYTES)
        if decompressor.eof:
            return content.decode(errors="replace")
    raise OperatorError(f"{path} is damaged, or larger than {MAX_INVENTORY_BYTES >> 20} MiB. Build the pages again.")
