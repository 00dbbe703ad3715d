"""What `upgrade` refuses in one line, without changing anything."""

import subprocess
from pathlib import Path

import pytest

from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.project.upgrading.releases import (
    FIRST,
    SECOND,
    is_refused,
    snapshot,
    write,
)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            "echo work >> app/books.py",
            "There is work that is not committed (app/books.py): commit it, or git stash -u.",
        ),
        ("touch new.py", "There is work that is not committed (new.py)"),
        ("rm -rf .git", "This project is not in git, which could bring it back: git init"),
        ("rm -rf .git; git init -q", "This project is not in git"),
        ("rm -rf .git; git init -q; git add oppman.py", "Nothing is committed yet: git add --all && git commit"),
        ("git checkout -q --detach", "HEAD is detached, so there is no branch to come back to"),
        ("git rev-parse HEAD > .git/MERGE_HEAD", "Git is in the middle of something (MERGE_HEAD)"),
        ("git branch -q upgrade-1.1.0", "There is a branch upgrade-1.1.0 already"),
        ("git rm -q -r opportune; git commit -qm gone", "Opportune is an installed package here"),
        ("rm oppman.py; git commit -qam gone", "This project is not in git"),
        ("echo '<<<<<<<' > .opportune.json; git commit -qam broken", ".opportune.json is damaged"),
    ],
)
def test_unsaved_project_is_refused(oppman: Oppman, shop: Path, second: str, state: str, words: str) -> None:
    subprocess.run(["sh", "-c", state], cwd=shop, check=True)
    before = snapshot(shop)
    assert words in oppman("upgrade", second, "--yes").line()
    assert snapshot(shop) == before


def test_git_has_to_know_who_commits(oppman: Oppman, shop: Path, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_NAME", "")
    is_refused(oppman("upgrade", second, "--yes"), "Git does not know who you are: git config --global user.name", shop)


def test_without_git_it_says_so(oppman: Oppman, shop: Path, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert oppman("upgrade", second).err == "git is not installed: install it (Debian: apt install git).\n"


def test_the_same_version_and_a_downgrade_are_told(oppman: Oppman, shop: Path, tmp_path: Path) -> None:
    first = str(write(tmp_path / "first", FIRST))
    assert oppman("upgrade", first)[:2] == (0, "This project stands on 1.0.0 already.\n")
    write(tmp_path / "first", {"opportune/__init__.py": '__version__ = "0.9"\n'})
    words = "That is 0.9, and this project stands on 1.0.0: git revert goes back."
    is_refused(oppman("upgrade", first), words, shop)


def test_a_release_that_wants_another_python_is_refused(oppman: Oppman, shop: Path, second: str) -> None:
    write(Path(second), {"pyproject.toml": SECOND["pyproject.toml"].replace("3.11", "3.99")})
    is_refused(oppman("upgrade", second), "Opportune 1.1.0 needs Python 3.99; this is ", shop)


def test_release_without_startproject_is_refused(oppman: Oppman, shop: Path, second: str) -> None:
    write(Path(second), {"oppman.py": "import sys\nsys.exit('There is no example fax.')\n"})
    words = "startproject of Opportune 1.1.0 cannot make this project: There is no example fax."
    is_refused(oppman("upgrade", second), words, shop)
