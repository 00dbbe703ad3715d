"""Names that developers search for, and units in the names of numbers."""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from opportune.cli.registry import overview
from opportune.project.layout import FRAMEWORK, PROJECT

FOLDERS = (FRAMEWORK, PROJECT / "app", PROJECT / "bench")

DIALECT = {
    "become": "exec",
    "chip": "active filter",
    "chips": "active filters",
    "complain": "error",
    "deed": "action",
    "heed": "watch",
    "insist": "retry",
    "largest": "max",
    "lesson": "hint",
    "letter": "email",
    "longest": "max, length",
    "most": "max",
    "patience": "timeout, in its unit",
    "pour": "copy",
    "shortest": "min",
    "smallest": "min",
    "soon": "a time, in its unit",
    "stirs": "pending data",
    "throttle": "rate limit",
    "unfit": "invalid",
    "unproven": "wrong credential",
}
"""Words to avoid, with their replacements."""


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

CODES = {"SYNCHRONOUS_FULL", "RETRIEVAL_ROUND"}
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

    @property
    def words(self) -> set[str]:
        return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", self.name)}


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


def test_public_names_avoid_dialect() -> None:
    matches = {str(name): name.words & DIALECT.keys() for name in public_names()}
    assert {name: [DIALECT[word] for word in words] for name, words in matches.items() if words} == {}


def test_texts_for_users_say_email() -> None:
    folders = (FRAMEWORK / "templates", PROJECT / "templates")
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".html", ".txt")]
    assert len(files) > 50
    texts = {path.name: re.sub(r"{#.*?#}", "", path.read_text(), flags=re.DOTALL) for path in files}
    texts["--help"] = " ".join(overview())
    texts[".env.example"] = (PROJECT / ".env.example").read_text()
    assert [name for name, text in texts.items() if re.search(r"\bletters?\b", text, re.IGNORECASE)] == []


def test_names_of_numbers_have_a_unit() -> None:
    numbers = [name for name in public_names() if name.name.isupper() and name.is_number]
    assert len(numbers) > 100
    assert [str(name) for name in numbers if not UNIT.fullmatch(name.name) and name.name not in CODES] == []
