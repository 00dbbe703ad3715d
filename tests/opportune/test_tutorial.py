"""docs/tutorial.md is true: its commands and edits make a bookshop of a new project, tested there.

What PostgreSQL answers otherwise is asked of such a shop in `test_bookshelf.py`.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from opportune.cli.main import main
from opportune.cli.project.new_project import history
from opportune.config.project import PROJECT, USERS
from opportune.testing.factories import PASSWORD
from tests.opportune.cli.command_server import NEEDED_FEATURES, TESTING, command_server
from tests.opportune.test_errands import apply, diffs

TUTORIAL = PROJECT / "docs/tutorial.md"
TEXT = TUTORIAL.read_text(encoding="utf-8")
# What installs, serves, tests or needs a release is for the reader; tests are run below.
NOT_RUN = ("startproject", "quickstart", "runserver", "test", "upgrade")
TESTS = [f"tests/books/test_{name}.py" for name in ("shop", "books", "reviews")]
"""Of what is changed by hand; what `addmodel` writes for the others is run in `cli/scaffold/test_addmodel.py`."""
WRITING = ("startapp", "addmodel")
"""What these write, a process that has imported the project does not find."""


def steps() -> list[list[str]]:
    """The words of the commands after the project is there; an empty list stands for the edits.

    Those that write no code are one step with the one before them, as a shell has them with `&&`.
    """
    found: list[list[str]] = []
    for kind, block in re.findall(r"^```(sh|diff)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        if kind == "diff":
            found += [[]] if [] not in found else []
            continue
        lines = [shlex.split(line) for line in block.splitlines() if line.startswith("python3 oppman.py ")]
        for _, _, *words in lines:
            if words[0] in NOT_RUN:
                continue
            if words[0] in WRITING or not found or not found[-1] or found[-1][0] in WRITING:
                found.append(words)
            else:
                found[-1] += ["&&", *words]
    return found


def added(*suffixes: str) -> int:
    """Lines that the reader writes in files of the project's own."""
    changes = [text for name, text in diffs([TUTORIAL]) if name.endswith(suffixes) and not name.startswith("tests/")]
    return sum(line.startswith("+") for text in changes for line in text.splitlines())


def test_it_counts_what_is_written_by_hand_and_touches_nothing_else() -> None:
    assert f"is {added('.py')} lines of Python and {added('.html')} of a template" in TEXT
    assert {name.split("/")[1] for name, _ in diffs([TUTORIAL])} == {"books"}


def test_it_makes_a_bookshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW_PASSWORD", PASSWORD)  # which a person is asked for
    project = tmp_path / "bookshelf"
    (begin,) = re.findall(r"^python3 (oppman\.py startproject .*) \.\./bookshelf$", TEXT, re.MULTILINE)
    monkeypatch.setattr(history, "first_commit", lambda *_arguments: "")  # which no step needs, and takes long
    assert main([*shlex.split(begin)[1:], str(project)]) == 0
    with command_server(project, *TESTING, *NEEDED_FEATURES, f"app.{USERS}.feature") as run:
        *before, last = steps()
        for words in before:
            if not words:
                for name, changes in diffs([TUTORIAL]):
                    apply(changes, project / name)
                continue
            code, output = run(*words)
            assert code == 0, output
            assert "ahead of their migrations" not in output  # as `check` would say
        code, output = run(*last, "&&", "pytest", "-q", "-k", "not postgresql", *TESTS)
    for task in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *task, "--no-cache", "app", "tests"]
        subprocess.run(command, cwd=project, check=True, capture_output=True)
    assert code == 0, output[-5000:]
    assert "ahead of their migrations" not in output
    assert " passed" in output
