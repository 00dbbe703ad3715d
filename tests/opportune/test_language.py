"""Limits for unclear language, which only go down. AGENTS.md has the rules with examples."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from statistics import median
from typing import NamedTuple

import pytest

from opportune.project.layout import PROJECT

MAX_WH_STARTS = {"opportune": 1.0, "app": 1.0, "tests": 1.0, "bench": 1.0}
"""Percent of docstrings that begin with What, Who, Where, Those, That or Of."""
MAX_ODD_WORDS = {
    **dict.fromkeys(("opportune", "app", "tests", "bench"), 2.0),
    **dict.fromkeys(("docs", "templates", "README.md"), 3.0),
    "AGENTS.md": 5.0,
}
"""Unclear words per 1,000 words of docstrings, comments, pages and templates."""
MAX_ODD_NAMES = {"opportune": 5.0, "app": 5.0, "tests": 5.0, "bench": 5.0}
"""Unclear names per 1,000 variables and parameters."""
MAX_TEST_NAME = 60
MAX_TEST_NAME_MEDIAN = 38
MAX_SUBJECT = 72
CHECKED_COMMITS = 50

WH_START = re.compile(r"(What|Who|Whoever|Where|Those|That|Of)\b")
ODD_WORDS = re.compile(
    r"\b(somebody|nobody|whoever|whatever|meanwhile|thereby|oneself|so many|see to it|is told|are told|was told|tells?"
    r"|there is none|is none|is no (?!longer)|are no (?!longer)|is yet to|by itself|of its own|of their own"
    r"|of one's own|to its end|is away|at once|goes on|go on|goes along|in vain|stands?|beforehand|afterwards|besides"
    r"|its word|who asks|what is|what was|who is|as it is|as they are|that there is|shall|lest|likewise|thereof"
    r"|therein)\b|, too\b",
    re.IGNORECASE,
)
ODD_NAMES = re.compile(
    r"wanted|asked|told|said|given|shown|gone|known|kept|left|chosen|stands?|tells?|asks?|looks?|looked|takes?"
    r"|knows?|heeds?|waits?|goes|own|several|written|begun|ended|meant|owed|due|meanwhile|rest|much|most"
)
COMMENT = re.compile(r"(?:^|\s)#\s(?!noqa|type:|ruff|startproject)(.+)")
SCRIPT_COMMENT = re.compile(r"(?:^|\s)//\s(.+)|/\*\s*(.+?)\s*(?:\*/|$)")
MARKUP = re.compile(r"{[{%#].*?[}%#]}|<[^>]*>")
SKIPPED_FOLDERS = {"__pycache__", "versions"}
"""Generated files: bytecode and migrations."""


class Text(NamedTuple):
    place: str
    text: str


class Folder(NamedTuple):
    docstrings: list[Text]
    other_texts: list[Text]
    names: list[Text]

    @property
    def texts(self) -> list[Text]:
        return self.docstrings + self.other_texts


@cache
def read_folder(name: str) -> Folder:
    """Collect the prose and the names of a folder."""
    folder = Folder([], [], [])
    root = PROJECT / name
    for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
        if SKIPPED_FOLDERS & set(path.parts) or not path.is_file():
            continue
        place = path.relative_to(PROJECT).as_posix()
        if path.suffix == ".py":
            read_python(folder, place, path.read_text(encoding="utf-8"))
        elif path.suffix in {".md", ".html", ".txt", ".j2", ".js", ".css"}:
            folder.other_texts.extend(prose_lines(place, path.suffix, path.read_text(encoding="utf-8")))
    return folder


def read_python(folder: Folder, place: str, source: str) -> None:
    tree = ast.parse(source, place)
    for number, line in enumerate(source.splitlines(), 1):
        if match := COMMENT.search(line):
            folder.other_texts.append(Text(f"{place}:{number}", match[1]))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            folder.docstrings.append(Text(f"{place}:{node.lineno}", " ".join(node.value.value.split())))
        elif isinstance(node, ast.arg):
            folder.names.append(Text(f"{place}:{node.lineno}", node.arg))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            folder.names.append(Text(f"{place}:{node.lineno}", node.id))


def prose_lines(place: str, suffix: str, text: str) -> Iterator[Text]:
    is_code = False
    for number, line in enumerate(text.splitlines(), 1):
        is_code ^= suffix == ".md" and line.lstrip().startswith("```")
        if suffix in {".js", ".css"}:
            match = SCRIPT_COMMENT.search(line)
            prose = (match[1] or match[2]) if match else ""
        else:
            prose = "" if is_code else MARKUP.sub(" ", line).strip()
        if prose:
            yield Text(f"{place}:{number}", prose)


def names_of_tests() -> dict[str, str]:
    pattern = re.compile(r"^\s*(?:async )?def (test_\w+)", re.MULTILINE)
    files = {path: path.read_text(encoding="utf-8") for path in sorted((PROJECT / "tests").rglob("test_*.py"))}
    names = ((path.relative_to(PROJECT), name) for path, text in files.items() for name in pattern.findall(text))
    return {f"{path.as_posix()}::{name}": name for path, name in names}


def refuse_above(limit: float, figure: float, unit: str, worst: list[Text]) -> None:
    listing = "\n".join(f"{text.place} {text.text[:150]}" for text in worst[:40])
    assert figure <= limit, f"{figure:.1f} {unit}, at most {limit}:\n{listing}"


@pytest.mark.parametrize("folder", MAX_WH_STARTS)
def test_docstrings_begin_with_a_noun_or_a_verb(folder: str) -> None:
    docstrings = read_folder(folder).docstrings
    worst = [docstring for docstring in docstrings if WH_START.match(docstring.text)]
    refuse_above(MAX_WH_STARTS[folder], 100 * len(worst) / len(docstrings), "% of docstrings", worst)


@pytest.mark.parametrize("folder", MAX_ODD_WORDS)
def test_prose_uses_plain_words(folder: str) -> None:
    texts = read_folder(folder).texts
    words = sum(len(passage.text.split()) for passage in texts)
    hits = [(len(ODD_WORDS.findall(passage.text)), passage) for passage in texts]
    worst = [passage for count, passage in sorted(hits, reverse=True) if count]
    refuse_above(MAX_ODD_WORDS[folder], 1000 * sum(count for count, _ in hits) / words, "of 1,000 words", worst)


@pytest.mark.parametrize("folder", MAX_ODD_NAMES)
def test_names_are_plain(folder: str) -> None:
    names = read_folder(folder).names
    worst = [name for name in names if ODD_NAMES.fullmatch(name.text)]
    refuse_above(MAX_ODD_NAMES[folder], 1000 * len(worst) / len(names), "of 1,000 names", worst)


def test_names_of_tests_are_short() -> None:
    assert [place for place, name in names_of_tests().items() if len(name) > MAX_TEST_NAME] == []
    assert median(map(len, names_of_tests().values())) <= MAX_TEST_NAME_MEDIAN


def test_subjects_of_new_commits_fit_a_line() -> None:
    git = shutil.which("git")
    assert git, "git is needed to read the subjects of commits"
    command = [git, "log", f"-{CHECKED_COMMITS}", "--format=%h %s"]
    log = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert [line for line in log.stdout.splitlines() if len(line.partition(" ")[2]) > MAX_SUBJECT] == []
