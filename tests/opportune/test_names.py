"""Public names are the words that somebody would search for, and a number's name says what it counts."""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest

from opportune.cli.registry import overview
from opportune.config.project import FRAMEWORK, PROJECT

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
"""Words that nobody looks for, and what stands in their place."""

ONCE_SAID_TOO_LITTLE = {
    "Beginning", "Call", "Edge", "Finish", "ForeignOrigins", "Kept", "KnownHosts", "Leaving", "MailedToken",
    "Piece", "Proof", "QueuedJob", "Run", "Runs", "SiteJobs", "TooMany", "Try", "UserChange", "UserShown", "Withdrawn",
}  # fmt: skip
"""Names of classes that stood for another thing in each module."""

FILES = {
    "agents", "asking", "attempts", "browsers", "by_mail", "chips", "circumstances", "confirming", "current", "edge",
    "entering", "examining", "faults", "fused", "gadgets", "gate", "kept", "leaving", "lessons",
    "letters", "lifetime", "mailed", "maker", "making", "noted", "opening", "own", "posted", "reading",
    "recency", "refusals", "restoring", "rights", "saving", "scripted", "seen", "serving", "shelves", "shelving",
    "showing", "spoiled", "stored", "subject", "sweeping", "talking", "texts", "timed", "told", "toys", "upstream",
    "waiting", "walking", "watcher", "wording",
}  # fmt: skip
"""What files of code and helpers of tests were called where one looked for another word."""

UNIT = re.compile(
    r"""
    (?:MAX|MIN)_\w+          # the subject is what follows
    | \w+_(?:[A-Z]+S         # SECONDS, BYTES, ROWS …
    | [A-Z]+S_PER_[A-Z]+ | PER_[A-Z]+
    | MS | LENGTH | LEVEL | DEPTH | RATIO | SHARE | WEIGHT | COUNT | PORT
    | ID | UID | OID | KEY | BYTE)
    """,
    re.VERBOSE,
)

CODES = {"SYNCHRONOUS_FULL", "RETRIEVAL_ROUND"}
"""Numbers that stand for something."""


DEFINED = re.compile(
    r"""
    ^(?P<is_inside>[ ]{4})?
    (?: (?P<kind>class|def|async[ ]def)[ ](?P<name>\w+)
    | (?P<names>[a-zA-Z]\w*(?:,[ ]\w+|[ ]=[ ]\w+(?=[ ]=[ ]))*)
      (?::[ ].*?(?=[ ]=[ ]|$)|(?=[ ]=[ ])) (?:[ ]=[ ](?P<value>.*))? )
    """,
    re.VERBOSE | re.MULTILINE,
)
"""A line that names something, at the top of a module or one step inside. To parse all files takes over a second."""

NUMBER = re.compile(r"[-(]*\d[\w.]*(?:[-+*/<>() ]+\d[\w.]*)*\)*(?: +#.*)?")


class Name(NamedTuple):
    file: str
    name: str
    value: str = ""
    """What the line says of it, if anything."""

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
    """The files, and all that is defined at the top of a module or in a class that is."""
    found = []
    for path in sorted(path for folder in FOLDERS for path in folder.rglob("*.py")):
        file = path.relative_to(PROJECT).as_posix()
        found += [Name(file, path.stem), *(Name(file, *each) for each in defined(path.read_text()))]
    return [each for each in found if not each.name.startswith("_")]


def defined(code: str) -> Iterator[tuple[str, str]]:
    """Names, and what the lines say of them."""
    around = ""
    for line in DEFINED.finditer(code):
        if not line["is_inside"]:
            around = line["kind"] or ""
        elif around != "class":
            continue  # what only a function knows
        yield from ((name, line["value"] or "") for name in re.split(", | = ", line["name"] or line["names"]))


def test_no_public_name_has_a_word_of_our_own() -> None:
    found = {str(name): name.words & DIALECT.keys() for name in public_names()}
    assert {name: [DIALECT[word] for word in words] for name, words in found.items() if words} == {}


def test_no_class_of_the_framework_has_a_name_that_said_too_little() -> None:
    of_framework = [each for each in public_names() if each.file.startswith("opportune/") and not each.value]
    assert [str(each) for each in of_framework if each.name in ONCE_SAID_TOO_LITTLE] == []


def test_no_file_has_a_name_that_nobody_looks_for() -> None:
    files = [path for folder in (*FOLDERS, PROJECT / "tests") for path in folder.rglob("*.py")]
    assert [path for path in files if path.stem in FILES or path.parent.name in FILES] == []


def test_people_read_of_emails_and_of_no_letters() -> None:
    folders = (FRAMEWORK / "templates", PROJECT / "templates")
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".html", ".txt")]
    assert len(files) > 50
    texts = {path.name: re.sub(r"{#.*?#}", "", path.read_text(), flags=re.DOTALL) for path in files}
    texts["--help"] = " ".join(overview())
    texts[".env.example"] = (PROJECT / ".env.example").read_text()
    assert [name for name, text in texts.items() if re.search(r"\bletters?\b", text, re.IGNORECASE)] == []


def test_a_numbers_name_says_its_subject_and_its_unit() -> None:
    numbers = [name for name in public_names() if name.name.isupper() and name.is_number]
    assert len(numbers) > 100
    assert [str(name) for name in numbers if not UNIT.fullmatch(name.name) and name.name not in CODES] == []


@pytest.mark.parametrize(
    ("name", "is_good"),
    [
        ("PATIENCE", False),
        ("SECONDS", False),
        ("POLL_EVERY", False),
        ("POLL_INTERVAL_SECONDS", True),
        ("MAX_NAME_LENGTH", True),
        ("MAX_RATIO", True),
        ("ROWS_PER_PAGE", True),
    ],
)
def test_the_rule_of_units_knows_good_names_from_bad_ones(name: str, is_good: bool) -> None:
    assert bool(UNIT.fullmatch(name)) is is_good
