"""`upgrade` of a project created by `startproject`, and the way back."""

import shutil
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.project.new_project import build
from opportune.cli.project.new_project.command_line import main as startproject
from opportune.cli.project.new_project.examples import examples
from opportune.cli.project.release import read_record
from opportune.config.project import PROJECT
from tests.opportune.cli.command_server import command_server, link
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.project.upgrading.releases import commit, git

MERGED = ("app.main", "app.own", "opportune.cli.accounts.createsuperuser", "opportune.cli.scaffold.startapp")
"""The site, a module of the project, a module that imports a renamed file, and a module with a conflict."""
NOTES = "## Unreleased\n\n## 99.0\n\n### Breaking\n\n- Questions are asked elsewhere.\n\n"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.unlink()  # it may be a hard link to the starter's
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    """The next release: a new version, a renamed file, and changes next to the project's."""
    folder = tmp_path / "starter"
    for name in build.FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", *(["opportune"] if name == "tests" else []))
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored, copy_function=link)
    (folder / build.STARTER_TESTS).mkdir()
    for name in (*build.FILES, "LICENSE", "CHANGELOG.md"):
        shutil.copy2(PROJECT / name, folder / name)
    edit(folder / "CHANGELOG.md", "## Unreleased\n", NOTES)
    edit(folder / "opportune/__init__.py", __version__, "99.0")
    edit(folder / "pyproject.toml", f'version = "{__version__}"', 'version = "99.0"')
    edit(folder / "opportune/cli/scaffold/startapp.py", "Created {' and ", "Made {' and ")
    edit(
        folder / "opportune/cli/accounts/createsuperuser.py",
        "opportune.cli.accounts.prompts",
        "opportune.cli.questions",
    )
    edit(
        folder / "opportune/cli/accounts/changepassword.py", "opportune.cli.accounts.prompts", "opportune.cli.questions"
    )
    (folder / "opportune/cli/accounts/prompts.py").rename(folder / "opportune/cli/questions.py")
    edit(folder / "Dockerfile", "EXPOSE 8000", "EXPOSE 8080")
    return folder


def test_upgrade_and_way_back(tmp_path: Path, starter: Path, oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    site, example = tmp_path / "site", next(iter(examples()), "")
    assert startproject(["Reading Circle", str(site), "--with", example]) == 0
    edit(site / "opportune/cli/accounts/prompts.py", "different passwords", "passwords that differ")
    edit(site / "opportune/cli/scaffold/startapp.py", "Created {' and ", "Planted {' and ")
    edit(site / "Dockerfile", "useradd", "useradd --system")
    (site / "app/own.py").write_text("MINE = True\n")
    commit(site, "Change the framework")

    monkeypatch.setattr("opportune.cli.project.upgrade.PROJECT", site)
    code, out, err = oppman("upgrade", str(starter), "--yes")
    output = out + err
    assert (code, git(site, "branch", "--show-current")) == (1, "upgrade-99.0"), output
    assert "  Breaking\n    - Questions are asked elsewhere.\n" in output
    assert "Conflicts:\n  opportune/cli/scaffold/startapp.py: line " in output
    assert not git(site, "status", "--porcelain")
    assert "passwords that differ" in (site / "opportune/cli/questions.py").read_text()
    assert all(words in (site / "Dockerfile").read_text() for words in ("useradd --system", "EXPOSE 8080"))
    assert "pyproject.toml" not in output
    assert not (site / "docs").exists()
    record = read_record(site)
    assert record
    assert record.version == "99.0"

    git(site, "checkout", "main", "--", "opportune/cli/scaffold/startapp.py")
    commit(site, "Conflicts resolved")
    with command_server(site) as run:
        code, output = run("-c", f"import {', '.join(MERGED)}")
        assert code == 0, output
    git(site, "switch", "--discard-changes", "main")
    assert "passwords that differ" in (site / "opportune/cli/accounts/prompts.py").read_text()
    assert (site / "app/own.py").exists()
