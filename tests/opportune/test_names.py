"""Units in the names of numbers."""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from opportune.project.layout import FRAMEWORK, PROJECT

FOLDERS = (FRAMEWORK, PROJECT / "app", PROJECT / "bench")

UNIT = re.compile(
    r"""
    (?:MAX|MIN)_\w+          # the subject is what follows
    | \w+_(?:[A-Z]+S         # SECONDS, BYTES, ROWS …
    | [A-Z]+S_PER_[A-Z]+ | PER_[A-Z]+
    | MS | LENGTH | LEVEL | PERCENT | DEPTH | RATIO | SHARE | WEIGHT | COUNT | PORT
    | ID | UID | OID | KEY | BYTE)
    """,
    re.VERBOSE,
)

CODES = {"KILLED", "SYNCHRONOUS_FULL", "RETRIEVAL_ROUND", "UNREAD"}
"""Numbers that are codes, not quantities."""


DEFINED = re.compile(
    r"""
    ^(?P<is_inside>[ ]{4})?
    (?: (?P<kind>class|def|async[ ]def)[ ](?P<name>\w+)
    | (?P<names>[a-zA-Z]\w*(?:,[ ]\w+|[ ]=[ ]\w+(?=[ ]=[ ]))*)
      (?::[ ].*?(?=[ ]=[ ]|$)|(?=[ ]=[ ])) (?:[ ]=[ ](?P<value>.*))? )
    """,
    re.VERBOSE | re.MULTILINE,
)
"""A definition at the top level of a module or class. Parsing all files would take over a second."""

NUMBER = re.compile(r"[-(]*\d[\w.]*(?:[-+*/<>() ]+\d[\w.]*)*\)*(?: +#.*)?")


class Name(NamedTuple):
    file: str
    name: str
    value: str = ""
    """Assigned value as source text; may be empty."""

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"

    @property
    def is_number(self) -> bool:
        return bool(NUMBER.fullmatch(self.value))


@cache
def public_names() -> list[Name]:
    """Return the names of files, of top-level definitions and of members of classes."""
    names = []
    for path in sorted(path for folder in FOLDERS for path in folder.rglob("*.py")):
        file = path.relative_to(PROJECT).as_posix()
        names += [Name(file, path.stem), *(Name(file, *definition) for definition in defined(path.read_text()))]
    return [name for name in names if not name.name.startswith("_")]


def defined(code: str) -> Iterator[tuple[str, str]]:
    """Yield defined names with their assigned values."""
    outer = ""
    for line in DEFINED.finditer(code):
        if not line["is_inside"]:
            outer = line["kind"] or ""
        elif outer != "class":
            continue  # a local variable of a function
        yield from ((name, line["value"] or "") for name in re.split(", | = ", line["name"] or line["names"]))


def test_names_of_numbers_have_a_unit() -> None:
    numbers = [name for name in public_names() if name.name.isupper() and name.is_number]
    assert len(numbers) > 100
    assert [str(name) for name in numbers if not UNIT.fullmatch(name.name) and name.name not in CODES] == []
