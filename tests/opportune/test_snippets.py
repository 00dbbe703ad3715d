"""Python snippets of the guides pass the project's mypy."""

import os
import re
import subprocess
import sys
from pathlib import Path

from sqlalchemy.orm.exc import DetachedInstanceError

from opportune.project.layout import PROJECT
from opportune.web.errors.error_hints import hint_for
from tests.opportune.snippets import PACKAGE, find_snippets, write_modules

GUIDES = sorted([*(PROJECT / "docs").glob("*.md"), *(PROJECT / ".agents/skills").glob("*/SKILL.md")])
MYPY_SECONDS = 300
"""Without a cache mypy also checks the framework. With one it takes a few seconds."""
LAZY_LOAD = "Parent instance <Book at 0x1> is not bound; lazy load operation of attribute 'author' cannot proceed"


def guide(folder: Path, name: str, *blocks: str) -> Path:
    path = folder / f"{name}.md"
    path.write_text("\n".join(f"```python\n{block}\n```\n" for block in blocks), encoding="utf-8")
    return path


def mypy(folder: Path) -> str:
    """Check the modules of a folder. Line numbers in the output are those of the guides."""
    environment = os.environ | {"MYPYPATH": str(folder)}
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--package", PACKAGE]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=MYPY_SECONDS, check=False
    )
    return re.sub(rf"\S*/{PACKAGE}/", "", done.stdout + done.stderr)  # mypy's cache may have another folder's path


def test_snippets_of_guides_and_error_page_pass_mypy(tmp_path: Path) -> None:
    """A wrong snippet beside them shows that the errors have the line of the guide."""
    hint = hint_for(DetachedInstanceError(LAZY_LOAD))
    assert hint
    wrong = "select(Book).options(selectinload(Book.owner))"
    wrong_code = "from sqlalchemy.orm import selectinload"
    added = [guide(tmp_path, "error_page", hint.code), guide(tmp_path, "wrong", wrong_code, wrong)]
    write_modules([*GUIDES, *added], "tests.opportune.snippet_surroundings", tmp_path)
    assert sum(len(find_snippets(path)) for path in GUIDES) > 100
    (error,) = (line for line in mypy(tmp_path).splitlines() if ": error: " in line)
    assert error.startswith('wrong_6.py:6: error: Argument 1 to "selectinload"')
