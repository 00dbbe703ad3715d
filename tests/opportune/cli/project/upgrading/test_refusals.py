"""Projects that `upgrade` refuses without changing anything."""

import subprocess
from pathlib import Path

import pytest

from opportune import __version__
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.project.upgrading.files import assert_refused, snapshot


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo work >> app/main.py", "There are uncommitted changes (app/main.py). Commit them, or run git stash -u."),
        ("touch new.py", "There are uncommitted changes (new.py)"),
        ("rm -rf .git", "This project is not in git, so the upgrade could not be undone. Run first: git init"),
        ("rm -rf .git; git init -q", "This project is not in git"),
        ("rm -rf .git; git init -q; git add oppman.py", "Nothing is committed yet. Run git add --all && git commit"),
        ("git checkout -q --detach", "HEAD is detached. Switch to a branch first"),
        ("git rev-parse HEAD > .git/MERGE_HEAD", "A git operation is not finished (MERGE_HEAD)"),
        ("git branch -q upgrade-99.0", "The branch upgrade-99.0 already exists"),
        ("rm oppman.py; git commit -qam gone", "This project is not in git"),
        ("rm .opportune.json; git commit -qam gone", "This is a clone of the starter. Update it with git pull"),
        ("echo '<<<<<<<' > .opportune.json; git commit -qam broken", ".opportune.json is damaged"),
        ("echo '{}' > .opportune.json; git commit -qam broken", ".opportune.json is damaged"),
        ("echo > requirements.lock; git commit -qam empty", "requirements.lock does not pin opportune."),
    ],
)
def test_unprepared_project_is_refused(oppman: Oppman, shop: Path, wheel: Path, command: str, message: str) -> None:
    subprocess.run(["sh", "-c", command], cwd=shop, check=True)
    before = snapshot(shop)
    assert message in oppman("upgrade", str(wheel), "--yes").line()
    assert snapshot(shop) == before


def test_git_needs_a_user_name(oppman: Oppman, shop: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_NAME", "")
    assert_refused(oppman("upgrade", str(wheel), "--yes"), "Git has no user name. Set it: git config", shop)


@pytest.mark.usefixtures("shop")
def test_missing_git_is_reported(oppman: Oppman, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert oppman("upgrade", str(wheel)).err == "git is not installed. Install it (Debian: apt install git).\n"


def test_same_version_changes_nothing(oppman: Oppman, shop: Path) -> None:
    (wheel,) = (shop / "vendor").iterdir()
    assert oppman("upgrade", str(wheel))[:2] == (0, f"This project already uses {__version__}.\n")


def test_older_release_is_refused(oppman: Oppman, shop: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.cli.project.upgrade.__version__", "99.1")
    assert_refused(oppman("upgrade", str(wheel)), "The release 99.0 is older than the project's 99.1.", shop)


@pytest.mark.usefixtures("shop")
def test_options_that_contradict_are_refused(oppman: Oppman, wheel: Path) -> None:
    assert oppman("upgrade", str(wheel), "--yes", "--keep").code == 2
