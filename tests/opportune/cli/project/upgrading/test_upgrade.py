"""`upgrade`: the new wheel, merged files, conflicts and the way back."""

import shutil
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.project.release import hash_of, wheel_name
from opportune.project.layout import PROJECT
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.project.upgrading.files import assert_refused, commit, edit, git

NOTES = f"""\
Opportune {__version__} -> 99.0
99.0:
  Breaking
  - `letter` is `email`: change the
    import.
"""
NEXT_STEPS = """\
You are now on the branch upgrade-99.0. To see the changes: git diff main. To go back: git switch main
New migrations of the framework: accounts/0099_names.py.
Next:
  python3 -m pip install --no-deps --require-hashes -r requirements.lock
  python3 oppman.py upgrade
  python3 oppman.py makemigrations --no-input
  python3 oppman.py migrate
  python3 oppman.py check
  python3 oppman.py test --project
"""


def test_release_is_installed_on_a_branch(oppman: Oppman, shop: Path, wheel: Path) -> None:
    code, out, _ = oppman("upgrade", f"{wheel}#sha256={hash_of(wheel)}")
    assert (code, git(shop, "branch", "--show-current"), git(shop, "status", "--porcelain")) == (0, "upgrade-99.0", "")
    assert f"opportune==99.0 \\\n    --hash=sha256:{hash_of(wheel)}\n" in (shop / "requirements.lock").read_text()
    assert out.startswith(NOTES)
    assert out.endswith(NEXT_STEPS)
    changed = set(git(shop, "diff", "--name-only", "--no-renames", "main").splitlines())
    wheels = {f"vendor/{wheel_name(version)}" for version in (__version__, "99.0")}
    assert changed == {"Dockerfile", "requirements.lock", *wheels}
    assert [path.name for path in (shop / "vendor").iterdir()] == [wheel_name("99.0")]


def test_version_of_index_is_pinned(oppman: Oppman, shop: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(wheel.parent))
    assert oppman("upgrade", "99.0").code == 0
    assert [path.name for path in (shop / "vendor").iterdir()] == ["README.md"]
    assert f"opportune==99.0 \\\n    --hash=sha256:{hash_of(wheel)}\n" in (shop / "requirements.lock").read_text()


def test_changes_of_both_sides_are_merged(oppman: Oppman, shop: Path, wheel: Path) -> None:
    edit(shop / "Dockerfile", "useradd", "useradd --system")
    edit(shop / "requirements.lock", "aiosqlite==", "aiodns==1.0 \\\n    --hash=sha256:00\naiosqlite==")
    shutil.copy(PROJECT / "requirements/llm-vendors.lock", shop / "requirements")
    commit(shop)
    assert oppman("upgrade", str(wheel)).code == 0
    for name, texts in (
        ("Dockerfile", ["useradd --system", "EXPOSE 8080"]),
        ("requirements.lock", ["aiodns==1.0", "opportune==99.0"]),
        ("requirements/llm-vendors.lock", ["boto2==1.0\nboto3=="]),
    ):
        assert [text for text in texts if text not in (shop / name).read_text()] == [], name


def test_conflict_stays_on_the_branch(oppman: Oppman, shop: Path, wheel: Path) -> None:
    edit(shop / "Dockerfile", "EXPOSE 8000", "EXPOSE 9000")
    edit(shop / "requirements.lock", "packaging==", "ours==1.0 \\\n    --hash=sha256:00\npackaging==")
    shutil.copy(PROJECT / "requirements/llm-vendors.lock", shop / "requirements")
    edit(shop / "requirements/llm-vendors.lock", "boto3==", "ours==1.0\nboto3==")
    commit(shop)
    outcome = oppman("upgrade", str(wheel))
    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.partition("Conflicts:\n")[2].startswith("  Dockerfile: line ")
    assert "EXPOSE 9000\n=======\nEXPOSE 8080\n>>>>>>> " in (shop / "Dockerfile").read_text()
    for name in ("requirements.lock", "requirements/llm-vendors.lock"):
        assert f"{name} is the release's, without your own dependencies." in outcome.out
    assert "opportune==99.0" in (shop / "requirements.lock").read_text()
    git(shop, "switch", "--quiet", "main")
    assert "<<<<" not in (shop / "Dockerfile").read_text()


def test_deleted_file_stays_deleted(oppman: Oppman, shop: Path, wheel: Path) -> None:
    git(shop, "rm", "--quiet", "Dockerfile")
    commit(shop)
    assert oppman("upgrade", str(wheel)).code == 0
    assert not (shop / "Dockerfile").exists()


@pytest.mark.parametrize("kind", ["link", "folder", "binary"])
def test_file_that_cannot_be_merged_is_kept(oppman: Oppman, shop: Path, wheel: Path, kind: str) -> None:
    file = shop / "Dockerfile"
    if kind == "binary":
        file.write_bytes(file.read_bytes() + b"\0")
    else:
        file.unlink()
    if kind == "link":
        file.symlink_to("README.md")
    if kind == "folder":
        file.mkdir()
        (file / "base").touch()
    commit(shop)
    readme = (shop / "README.md").read_bytes()
    assert "Dockerfile was not merged, because" in oppman("upgrade", str(wheel)).out
    assert git(shop, "diff", "main", "--", "Dockerfile") == ""
    assert (shop / "README.md").read_bytes() == readme


def test_dry_run_changes_nothing(oppman: Oppman, shop: Path, wheel: Path) -> None:
    outcome = oppman("upgrade", str(wheel), "--dry-run")
    assert (outcome.code, outcome.err) == (0, "")
    assert " Dockerfile " in outcome.out
    assert outcome.out.endswith("Nothing was changed (--dry-run).\n")
    assert git(shop, "status", "--porcelain", "--branch") == "## main"
    assert (git(shop, "branch"), len(git(shop, "worktree", "list").splitlines())) == ("* main", 1)


def test_upgrade_can_be_reverted_and_repeated(oppman: Oppman, shop: Path, wheel: Path) -> None:
    assert oppman("upgrade", str(wheel)).code == 0
    git(shop, "switch", "--quiet", "main")
    git(shop, "merge", "--quiet", "--ff-only", "upgrade-99.0")
    git(shop, "branch", "-d", "upgrade-99.0")
    git(shop, "revert", "--no-edit", "HEAD")
    assert [path.name for path in (shop / "vendor").iterdir()] == [wheel_name(__version__)]
    assert oppman("upgrade", str(wheel)).code == 0


def test_failed_switch_changes_nothing(oppman: Oppman, shop: Path, wheel: Path) -> None:
    (shop / ".git/info/exclude").write_text(f"{wheel_name('99.0')}\n")
    (shop / "vendor" / wheel_name("99.0")).mkdir()
    (shop / "vendor" / wheel_name("99.0") / "notes.txt").write_text("Not in git\n")
    outcome = oppman("upgrade", str(wheel))
    assert_refused(outcome, "git switch failed: ", shop)
    assert git(shop, "status", "--porcelain", "--branch") == "## main"
