"""Projects that `upgrade` refuses without changing anything."""

import subprocess
from pathlib import Path

import pytest

from opportune import __version__
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.project.upgrading.files import assert_refused, snapshot
from tests.opportune.cli.scaffold.wheels import write_wheel


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo work >> app/main.py", "There are uncommitted changes (app/main.py). Commit them, or run git stash -u."),
        ("rm -rf .git", "This project is not in git, so the upgrade could not be undone. Run first: git init"),
        ("git checkout -q --detach", "HEAD is detached. Switch to a branch first"),
        ("git branch -q upgrade-99.0", "The branch upgrade-99.0 already exists"),
        ("rm .opportune.json; git commit -qam gone", "This is a clone of the starter. Update it with git pull"),
        ("echo '<<<<<<<' > .opportune.json; git commit -qam broken", ".opportune.json is damaged"),
        ("echo > requirements.lock; git commit -qam empty", "requirements.lock does not pin opportune."),
    ],
)
def test_unprepared_project_is_refused(oppman: Oppman, shop: Path, wheel: Path, command: str, message: str) -> None:
    subprocess.run(["sh", "-c", command], cwd=shop, check=True)
    before = snapshot(shop)
    assert message in oppman("upgrade", str(wheel)).line()
    assert snapshot(shop) == before


def test_git_needs_a_user_name(oppman: Oppman, shop: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_NAME", "")
    assert_refused(oppman("upgrade", str(wheel)), "Git has no user name. Set it: git config", shop)


def test_same_version_changes_nothing(oppman: Oppman, shop: Path) -> None:
    (wheel,) = (shop / "vendor").iterdir()
    assert oppman("upgrade", str(wheel))[:2] == (0, f"This project already uses {__version__}.\n")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("99.1", "The release 99.0 is older than the project's 99.1."),
        ("99.0", "This is another wheel of 99.0. Build it with a higher version."),
    ],
)
def test_release_that_is_not_newer_is_refused(
    oppman: Oppman, shop: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch, version: str, message: str
) -> None:
    monkeypatch.setattr("opportune.cli.project.newer_release.__version__", version)
    assert_refused(oppman("upgrade", str(wheel)), message, shop)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("https://me:secret@example.com/x.whl", "A release cannot be an address. Download its wheel first"),
        ("..", ".. is a folder. In a clone of Opportune, build a wheel: uv build --wheel"),
        ("98.0", "The package index does not provide opportune==98.0 ("),
    ],
)
def test_unknown_source(oppman: Oppman, shop: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    assert_refused(oppman("upgrade", source), message, shop)


@pytest.mark.parametrize("digest", ["sha256=" + "0" * 64, "md5=0"])
def test_wrong_hash_is_refused(oppman: Oppman, shop: Path, wheel: Path, digest: str) -> None:
    message = f"{wheel} does not have the hash {digest}. Download it again, or check it."
    assert_refused(oppman("upgrade", f"{wheel}#{digest}"), message, shop)


def test_damaged_wheel_and_other_package_are_refused(oppman: Oppman, shop: Path, wheel: Path, tmp_path: Path) -> None:
    file = tmp_path / wheel.name
    file.write_bytes(wheel.read_bytes()[:-200])
    assert_refused(oppman("upgrade", str(file)), f"{wheel.name} cannot be installed (", shop)
    other = write_wheel(tmp_path)
    assert_refused(oppman("upgrade", str(other)), f"{other} is not a release of Opportune", shop)
