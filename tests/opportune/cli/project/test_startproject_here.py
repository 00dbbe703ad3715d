"""`startproject --here`: turn a clone of the starter into a project."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opportune.cli.project.new_project import build, history
from tests.opportune.cli.project.git_program import git
from tests.opportune.cli.project.starters import (
    ONLY_STARTER,
    PRODUCT,
    PROGRAM_FOLDERS,
    copy_partly,
    git_environ,
    run_program,
)

__all__ = ["git", "git_environ"]  # fixtures


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone of a starter with few files and one commit."""
    folder = copy_partly(tmp_path_factory.mktemp("clone") / "starter", *PROGRAM_FOLDERS)
    for command in ("init", "add --all", "-c user.name=Ada -c user.email=ada@example.com commit -qm Clone"):
        run_program(folder, "git", *command.split())
    yield folder
    shutil.rmtree(folder)


def startproject_here(clone: Path, *arguments: str, code_before: str = "") -> subprocess.CompletedProcess[str]:
    """Turn a clone into a project, with extra Python code before."""
    program = (
        "import sys; from opportune.cli.project.new_project.command_line import main\n"
        f"{code_before}\nsys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "Shop", "--here", "--with", "none", *arguments]
    return subprocess.run(
        command, cwd=clone, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


WITHOUT_YES = "assert main(sys.argv[1:-1]) == 1"
"""Run without the last argument, which is --yes."""
INTERRUPT_MOVES = """
from opportune.cli.project.new_project import build
move, moves = build._move, []
def move_or_interrupt(*arguments):
    moves.append(arguments)
    if len(moves) == 30: raise KeyboardInterrupt
    move(*arguments)
build._move = move_or_interrupt
"""


def test_here_replaces_the_clone_or_changes_nothing(clone: Path) -> None:
    (clone / ".env").write_text("SECRET_KEY=existing\n", encoding="utf-8")
    (clone / "README.md").write_text("Changed.\n", encoding="utf-8")
    result = startproject_here(clone, "--yes")
    assert result.returncode == 1
    assert " has uncommitted changes (README.md). Commit them, or create the project else" in result.stderr
    run_program(clone, "git", "checkout", "-q", "README.md")
    interrupted = startproject_here(clone, "--yes", code_before=f"{WITHOUT_YES}\n{INTERRUPT_MOVES}")
    assert interrupted.returncode == 130
    assert "Add --yes.\n" in interrupted.stderr
    assert not run_program(clone, "git", "status", "--porcelain")
    created = startproject_here(clone, "--yes")
    assert (created.returncode, created.stderr) == (0, "")
    assert created.stdout.startswith("Created Shop in ")
    assert run_program(clone, "git", "log", "--format=%s").startswith(f"Create Shop on {PRODUCT}")
    assert [name for name in ONLY_STARTER if (clone / name).exists()] == []
    assert (clone / ".env").read_text() == "SECRET_KEY=existing\n"
    assert not list(clone.glob(".startproject-*"))
    command = [sys.executable, "-S", "oppman.py", "startproject", "Shop"]
    repeated = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=60, check=False)
    assert repeated.returncode == 1
    assert repeated.stderr.endswith(f" is a project already. Run startproject in a clone of {PRODUCT}.\n")
    assert repeated.stderr.count("\n") == 1


def test_unpushed_commits_prevent_here(tmp_path: Path) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    run_program(origin, "git", "init", "-q")
    run_program(origin, "git", "commit", "-q", "--allow-empty", "-m", "First")
    run_program(tmp_path, "git", "clone", "-q", str(origin), str(clone))
    assert history.unsaved_work(clone) == ""
    run_program(clone, "git", "commit", "-q", "--allow-empty", "-m", "Unpushed")
    assert re.fullmatch(r"has unpushed commits \(\w+ Unpushed\). Push them", history.unsaved_work(clone))
    (clone / ".git/HEAD").write_text("nonsense", encoding="utf-8")
    assert history.unsaved_work(clone).startswith("may have uncommitted changes (git status failed: ")


def test_starter_is_complete() -> None:
    build.require_starter()
