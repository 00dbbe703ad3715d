"""Commands and edits of docs/tutorial.md, which make a bookshop of a new project.

`test_bookshelf.py` runs such a shop on PostgreSQL.
"""

import re
import shlex
from pathlib import Path

import pytest

from opportune.cli.main import main
from opportune.cli.project.new_project import build
from opportune.project.layout import PROJECT, USERS
from opportune.testing.factories import PASSWORD
from tests.opportune.cli.command_server import REQUIRED_FEATURE_MODULES, TEST_MODULES, command_server
from tests.opportune.cli.conftest import assert_ruff_passes
from tests.opportune.cli.project.starters import write_empty_wheel
from tests.opportune.owner_texts import edit_owner_texts
from tests.opportune.test_errands import apply, diffs

TUTORIAL = PROJECT / "docs/tutorial.md"
TEXT = TUTORIAL.read_text(encoding="utf-8")
# Commands that install, serve or need a release.
BOOK_TESTS = ("pytest", "-q", "-k", "not postgresql", "tests/books")
"""Replacement of `test`, which would start new processes. `test_bookshelf.py` runs such tests on both databases.

The tables of access were written by the command before, so they match.
"""
SEPARATE = ("startapp", "addmodel", "test")
"""Commands that write code, which a running process does not see, or that replace the process."""


def steps() -> list[list[str]]:
    """Return the commands after `startproject` as lists of words. An empty list means the edits.

    Other commands are joined with `&&`.
    """
    steps: list[list[str]] = []
    for language, block in re.findall(r"^```(sh|diff)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        if language == "diff":
            steps += [[]] if [] not in steps else []
            continue
        lines = [shlex.split(line) for line in block.splitlines() if line.startswith("python3 oppman.py ")]
        for _, _, *typed in lines:
            if typed[0] in ("startproject", "quickstart", "runserver", "upgrade"):
                continue
            words = [*BOOK_TESTS] if typed == ["test"] else typed
            if words[0] in SEPARATE or not steps or not steps[-1] or steps[-1][0] in SEPARATE:
                steps.append(words)
            else:
                steps[-1] += ["&&", *words]
    return steps


def added(*suffixes: str) -> int:
    """Return the number of lines that the reader adds to files with these suffixes."""
    changes = [text for name, text in diffs([TUTORIAL]) if name.endswith(suffixes) and not name.startswith("tests/")]
    return sum(line.startswith("+") for text in changes for line in text.splitlines())


def test_tutorial_counts_its_lines() -> None:
    assert f"add {added('.py')} lines of Python and {added('.html')} of a template" in TEXT
    assert {name.split("/")[1] for name, _ in diffs([TUTORIAL])} == {"books"}


def test_tutorial_makes_a_bookshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW_PASSWORD", PASSWORD)  # instead of the prompt
    project = tmp_path / "bookshelf"
    (command_line,) = re.findall(r"^python3 (oppman\.py startproject .*) \.\./bookshelf$", TEXT, re.MULTILINE)
    # Both are slow, and not needed.
    monkeypatch.setattr(build, "first_commit", lambda *_arguments: "")
    monkeypatch.setattr(build, "build_wheel", write_empty_wheel)
    assert main([*shlex.split(command_line)[1:], str(project)]) == 0
    with command_server(project, *TEST_MODULES, *REQUIRED_FEATURE_MODULES, f"app.{USERS}.feature") as run:
        for words in steps():
            if not words:
                for name, changes in diffs([TUTORIAL]):
                    apply(changes, project / name)
                continue
            if words[0] == "pytest":
                edit_owner_texts(project / "templates")
            code, output = run(*words)
            assert code == 0, output[-5000:]
            assert "ahead of their migrations" not in output  # as `check` would report
    assert_ruff_passes(project, "app", "tests")
    assert " passed" in output
