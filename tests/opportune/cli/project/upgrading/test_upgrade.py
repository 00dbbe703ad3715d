"""`upgrade`: merged changes, conflicts, questions and the way back."""

import shutil
import sys
from pathlib import Path

import pytest
import typer

from opportune.cli.project.release import read_record
from opportune.cli.project.upgrading.source import available_arguments
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.project.upgrading.releases import (
    FIRST,
    LINES,
    SECOND,
    assert_refused,
    commit,
    git,
    project,
    repository,
    snapshot,
    write,
)


def test_release_replaces_only_the_framework(oppman: Oppman, shop: Path, second: str) -> None:
    code, out, _ = oppman("upgrade", second, "--yes")
    assert code == 0
    assert git(shop, "branch", "--show-current") == "upgrade-1.1.0"
    assert git(shop, "status", "--porcelain") == ""
    for path in SECOND.keys() - {"CHANGELOG.md", "docs/web.md", "pyproject.toml"}:
        assert (shop / path).read_text() == SECOND[path]
    assert not any((shop / path).exists() for path in ("opportune/letter.py", "opportune/fax.py", "docs"))
    assert 'name = "Shop"\nversion = "1.1.0"' in (shop / "pyproject.toml").read_text()
    assert git(shop, "diff", "--stat", "main", "--", "app", "README.md", "oppman.py") == ""
    record = read_record(shop)
    assert record
    assert (record.version, record.startproject) == ("1.1.0", ["Shop", "--with", ""])
    notes = """\
1.1.0:
  Breaking
    - `letter` is `email`: change the import.
  Settings
    - `MAIL_REPLY_TO`.
  Other changes: 2 added.
Framework: 3 changed, 2 new, 2 deleted.
New migrations: accounts/0002_names.py.
"""
    assert notes in out
    assert out.endswith("""\
Next:
  python3 oppman.py migrate
  python3 oppman.py check
  git switch main && git merge upgrade-1.1.0
""")
    assert (shop / ".git/commands").read_text() == "test --project\n"


def test_failing_check_names_the_way_back(oppman: Oppman, shop: Path, second: str) -> None:
    shutil.rmtree(Path(second) / "opportune/migrations")
    (shop / ".git/test fails").touch()
    outcome = oppman("upgrade", second, "--yes")
    message = "`test --project` fails on upgrade-1.1.0. Fix it there, or go back: git switch main\n"
    assert (outcome.code, outcome.err) == (1, message)
    assert (shop / ".git/commands").read_text() == "check\ntest --project\n"


def test_changes_of_both_sides_are_merged(oppman: Oppman, shop: Path, second: str) -> None:
    write(shop, {"opportune/web.py": LINES.replace("line_9 = 9", "line_9 = 'of the shop'")})
    write(shop, {"opportune/letter.py": FIRST["opportune/letter.py"].replace("letter_9 = 9", "letter_9 = 'own'")})
    write(shop, {"requirements.lock": "fastapi==1.0.5\nhttpx==1.0\nstripe==1.0\n"})
    (shop / "Dockerfile").unlink()
    write(shop, {"compose.yaml": "mine\n"})
    commit(shop)
    write(Path(second), {"compose.yaml": "of the release\n"})
    outcome = oppman("upgrade", second, "--yes")
    assert outcome.code == 0
    assert (shop / "opportune/web.py").read_text().count(" = 'of the ") == 2
    assert "letter_9 = 'own'" in (shop / "opportune/email.py").read_text(), "renamed from letter.py"
    assert not (shop / "Dockerfile").exists()
    assert (shop / "compose.yaml").read_text() == "mine\n"
    assert "compose.yaml is not changed. See the release's: git show upgrade-1.1.0^2:compose.yaml\n" in outcome.out
    assert git(shop, "show", "upgrade-1.1.0^2:compose.yaml") == "of the release"
    assert (shop / "requirements.lock").read_text() == SECOND["requirements.lock"]
    assert "Add them with: python3 oppman.py lock" in outcome.out


def test_conflict_stays_on_the_branch(oppman: Oppman, shop: Path, second: str) -> None:
    write(shop, {"opportune/web.py": LINES.replace("line_2 = 2", "line_2 = 'of the shop'")})
    write(shop, {"opportune/fax.py": "changed = True\n" + FIRST["opportune/fax.py"]})
    (shop / "opportune/mail.py").unlink()
    commit(shop)
    outcome = oppman("upgrade", second, "--yes")
    assert outcome.code == 1
    assert outcome.err == ""
    conflicts = outcome.out.partition("Conflicts:\n")[2].splitlines()
    assert conflicts[0].startswith("  opportune/fax.py: you changed it, but the release deleted it.")
    assert conflicts[1].startswith("  opportune/mail.py: you deleted it, but the release changed it.")
    assert conflicts[2] == "  opportune/web.py: line 3"
    assert not (shop / ".git/commands").exists()
    assert (
        "line_2 = 'of the shop'\n=======\nline_2 = 'of the release'\n>>>>>>> "
        in (shop / "opportune/web.py").read_text()
    )
    write(shop, {"opportune/web.py": "half resolved\n"})
    git(shop, "switch", "--discard-changes", "main")
    assert "<<<<" not in (shop / "opportune/web.py").read_text()
    assert (shop / "opportune/__init__.py").read_text() == FIRST["opportune/__init__.py"]


def test_merged_upgrade_can_be_reverted_and_repeated(oppman: Oppman, shop: Path, second: str) -> None:
    outcome = oppman("upgrade", second, "--yes", "--no-test")
    assert outcome.code == 0
    assert "  python3 oppman.py test --project\n  git switch main" in outcome.out
    assert not (shop / ".git/commands").exists()
    git(shop, "switch", "main")
    git(shop, "merge", "--ff-only", "upgrade-1.1.0")
    git(shop, "branch", "-d", "upgrade-1.1.0")
    write(shop, {"app/books.py": "more = True\n"})
    commit(shop)
    git(shop, "revert", "--no-edit", "--mainline", "1", "HEAD^")
    assert git(shop, "diff", "--name-only", "HEAD^^^") == "app/books.py"
    assert oppman("upgrade", second, "--yes", "--no-test").code == 0
    assert git(shop, "diff", "--name-only", "main^") == ""


def test_third_release_merges_with_the_second(oppman: Oppman, shop: Path, tmp_path: Path) -> None:
    write(shop, {"opportune/web.py": LINES.replace("line_9 = 9", "line_9 = 'of the shop'")})
    commit(shop)
    assert oppman("upgrade", str(write(tmp_path / "second", SECOND)), "--yes").code == 0
    third = {**SECOND, "opportune/__init__.py": '__version__ = "1.2.0"\n'}
    third["opportune/web.py"] = SECOND["opportune/web.py"].replace("line_5 = 5", "line_5 = 'of the next'")
    cloned = tmp_path / "cloned"
    git(tmp_path, "clone", "--quiet", "--no-local", str(shop), str(cloned))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opportune.cli.project.upgrade.PROJECT", cloned)
        assert oppman("upgrade", str(write(tmp_path / "third", third)), "--keep").code == 0
    text = (cloned / "opportune/web.py").read_text()
    assert all(words in text for words in ("'of the shop'", "'of the release'", "'of the next'"))
    assert "1.1.0" in (cloned / "pyproject.toml").read_text()


def test_shared_files_are_confirmed(oppman: Oppman, shop: Path, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = iter(["what?", "show", "y", "n", "n"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typer, "prompt", lambda _text: next(inputs))
    outcome = oppman("upgrade", second)
    assert outcome.code == 0
    assert outcome.out.count("+FROM python:3.14-slim") == 2
    assert (shop / "Dockerfile").read_text() == SECOND["Dockerfile"]
    assert "1.0.0" in (shop / "pyproject.toml").read_text()
    assert (shop / "requirements.lock").read_text() == FIRST["requirements.lock"]


def test_dry_run_changes_nothing(oppman: Oppman, shop: Path, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_text: str) -> str:
        raise KeyboardInterrupt

    before = snapshot(shop)
    outcome = oppman("upgrade", second, "--dry-run")
    assert outcome.code == 0
    assert "-FROM python:3.11-slim\n+FROM python:3.14-slim" in outcome.out
    assert outcome.out.endswith("Nothing was changed (--dry-run).\n")
    assert snapshot(shop) == before
    message = "The release also changes Dockerfile, pyproject.toml, requirements.lock. Add --yes to accept"
    assert_refused(oppman("upgrade", second), message, shop)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typer, "prompt", interrupt)
    assert oppman("upgrade", second).code == 130
    assert git(shop, "status", "--porcelain", "--branch") == "## main"
    assert git(shop, "branch", "--list", "upgrade*") == ""


def test_removed_example_is_not_requested(tmp_path: Path) -> None:
    (tmp_path / "app/shelf").mkdir(parents=True)
    assert available_arguments(["Shop", "--with", "chat,shelf"], tmp_path) == ["Shop", "--with", "shelf"]
    assert available_arguments(["Shop", "--with", ""], tmp_path) == ["Shop", "--with", ""]


def test_default_source_is_the_last_one(oppman: Oppman, shop: Path, tmp_path: Path) -> None:
    assert oppman("upgrade").code == 2
    address = repository(tmp_path / "starter", FIRST, SECOND).as_uri()
    assert oppman("upgrade", f"{address}@v1.0.0")[:2] == (0, "This project already uses 1.0.0.\n")
    assert oppman("upgrade", address, "--yes").code == 0
    assert oppman("upgrade")[:2] == (0, "This project already uses 1.1.0.\n")


def test_base_comes_from_the_tags_of_the_source(oppman: Oppman, shop: Path, tmp_path: Path) -> None:
    write(shop, {"opportune/web.py": LINES.replace("line_9 = 9", "line_9 = 'of the shop'")})
    shutil.rmtree(shop / ".git")
    git(shop, "init", "--quiet", "--initial-branch", "main")
    commit(shop, "Start a new history")
    assert oppman("upgrade", str(repository(tmp_path / "starter", FIRST, SECOND)), "--yes").code == 0
    assert (shop / "opportune/web.py").read_text().count(" = 'of the ") == 2


def test_without_a_base_differences_are_marked(oppman: Oppman, shop: Path, second: str) -> None:
    write(shop, {"opportune/web.py": LINES.replace("line_9 = 9", "line_9 = 'of the shop'")})
    shutil.rmtree(shop / ".git")
    git(shop, "init", "--quiet", "--initial-branch", "main")
    commit(shop, "Start a new history")
    outcome = oppman("upgrade", second, "--yes")
    assert outcome.code == 1
    assert "Conflicts:\n  opportune/web.py: lines 3, 14\n" in outcome.out


@pytest.mark.parametrize("has_history", [True, False])
def test_plain_clone_is_upgraded_with_its_guides(
    oppman: Oppman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_history: bool
) -> None:
    starter = repository(tmp_path / "starter", FIRST, SECOND)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch", "v1.0.0", str(starter), str(clone))
    if not has_history:
        shutil.rmtree(clone / ".git")
        git(clone, "init", "--quiet")
        commit(clone, "From an archive")
    git(clone, "switch", "--quiet", "--create", "work")
    write(clone, {"opportune/web.py": LINES.replace("line_9 = 9", "line_9 = 'of the shop'")})
    commit(clone)
    monkeypatch.setattr("opportune.cli.project.upgrade.PROJECT", clone)
    monkeypatch.setattr("opportune.cli.project.upgrade.__version__", "1.0.0")
    shutil.rmtree(starter / ".git") if not has_history else None
    assert oppman("upgrade", str(starter), "--yes").code == 0
    assert (clone / "opportune/web.py").read_text().count(" = 'of the ") == 2
    assert (clone / "docs/web.md").read_text() == SECOND["docs/web.md"]
    record = read_record(clone)
    assert record
    assert (record.version, "docs/web.md" in record.files) == ("1.1.0", True)


def test_project_in_a_subfolder(oppman: Oppman, tmp_path: Path, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = project(tmp_path / "all/site")
    shutil.rmtree(shop / ".git")
    git(shop.parent, "init", "--quiet", "--initial-branch", "main")
    write(shop.parent, {"Dockerfile": "FROM scratch\n"})
    commit(shop.parent)
    monkeypatch.setattr("opportune.cli.project.upgrade.PROJECT", shop)
    write(shop, {".git/commands": ""})
    assert oppman("upgrade", second, "--yes").code == 0
    assert (shop / "Dockerfile").read_text() == SECOND["Dockerfile"]
    assert (shop.parent / "Dockerfile").read_text() == "FROM scratch\n"


def test_failed_switch_changes_nothing(oppman: Oppman, shop: Path, second: str) -> None:
    write(shop, {".git/info/exclude": "email.py\n", "opportune/email.py/notes.txt": "Not in git\n"})
    outcome = oppman("upgrade", second, "--yes")
    assert_refused(outcome, "directories would lose untracked files in them: opportune/email.py", shop)
    assert git(shop, "status", "--porcelain", "--branch") == "## main"
    assert (shop / "opportune/__init__.py").read_text() == FIRST["opportune/__init__.py"]
    assert (shop / "opportune/email.py/notes.txt").read_text() == "Not in git\n"
