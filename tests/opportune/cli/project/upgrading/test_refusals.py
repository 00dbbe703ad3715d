"""Projects and releases that `upgrade` refuses without changing anything."""

import subprocess
from pathlib import Path

import pytest

from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.project.upgrading.releases import (
    FIRST,
    SECOND,
    assert_refused,
    snapshot,
    write,
)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "echo work >> app/books.py",
            "There are uncommitted changes (app/books.py). Commit them, or run git stash -u.",
        ),
        ("touch new.py", "There are uncommitted changes (new.py)"),
        ("rm -rf .git", "This project is not in git, so the upgrade could not be undone. Run first: git init"),
        ("rm -rf .git; git init -q", "This project is not in git"),
        ("rm -rf .git; git init -q; git add oppman.py", "Nothing is committed yet. Run git add --all && git commit"),
        ("git checkout -q --detach", "HEAD is detached. Switch to a branch first"),
        ("git rev-parse HEAD > .git/MERGE_HEAD", "A git operation is not finished (MERGE_HEAD)"),
        ("git branch -q upgrade-1.1.0", "The branch upgrade-1.1.0 already exists"),
        ("git rm -q -r opportune; git commit -qm gone", "Opportune is installed as a package"),
        ("rm oppman.py; git commit -qam gone", "This project is not in git"),
        ("echo '<<<<<<<' > .opportune.json; git commit -qam broken", ".opportune.json is damaged"),
    ],
)
def test_unsaved_project_is_refused(oppman: Oppman, shop: Path, second: str, command: str, message: str) -> None:
    subprocess.run(["sh", "-c", command], cwd=shop, check=True)
    before = snapshot(shop)
    assert message in oppman("upgrade", second, "--yes").line()
    assert snapshot(shop) == before


def test_git_needs_a_user_name(oppman: Oppman, shop: Path, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_NAME", "")
    assert_refused(oppman("upgrade", second, "--yes"), "Git has no user name. Set it: git config", shop)


def test_missing_git_is_reported(oppman: Oppman, shop: Path, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert oppman("upgrade", second).err == "git is not installed. Install it (Debian: apt install git).\n"


def test_same_version_and_downgrade_are_refused(oppman: Oppman, shop: Path, tmp_path: Path) -> None:
    first = str(write(tmp_path / "first", FIRST))
    assert oppman("upgrade", first)[:2] == (0, "This project already uses 1.0.0.\n")
    write(tmp_path / "first", {"opportune/__init__.py": '__version__ = "0.9"\n'})
    assert_refused(oppman("upgrade", first), "The release 0.9 is older than the project's 1.0.0.", shop)


def test_release_for_newer_python_is_refused(oppman: Oppman, shop: Path, second: str) -> None:
    write(Path(second), {"pyproject.toml": SECOND["pyproject.toml"].replace("3.11", "3.99")})
    assert_refused(oppman("upgrade", second), "Opportune 1.1.0 needs Python 3.99; this is ", shop)


def test_release_without_startproject_is_refused(oppman: Oppman, shop: Path, second: str) -> None:
    write(Path(second), {"oppman.py": "import sys\nsys.exit('There is no example fax.')\n"})
    message = "startproject of Opportune 1.1.0 cannot create this project: There is no example fax."
    assert_refused(oppman("upgrade", second), message, shop)
