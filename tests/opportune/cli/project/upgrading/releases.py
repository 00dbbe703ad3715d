"""Two releases of a small framework, and a project on the first one."""

import subprocess
from pathlib import Path

from opportune.cli.project.release import record_release
from tests.opportune.cli.conftest import Outcome

OPPMAN = '''\
"""Stand-in for oppman.py: creates projects, and logs other commands."""
import pathlib, shutil, sys

command, *words = sys.argv[1:]
if command == "startproject":
    release, folder = pathlib.Path(__file__).parent, pathlib.Path(words[-1])
    shutil.copytree(release, folder, ignore=shutil.ignore_patterns("CHANGELOG.md", "docs", ".git"))
    text = (folder / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(text.replace('"opportune"', repr(words[0]).replace("'", '"')))
else:
    with pathlib.Path(".git/commands").open("a") as log:
        print(command, *words, file=log)
    sys.exit(pathlib.Path(f".git/{command} fails").exists())
'''
LINES = "".join(f"line_{number} = {number}\n" for number in range(12))
FIRST = {
    "opportune/__init__.py": '__version__ = "1.0.0"\n',
    "opportune/web.py": LINES,
    "opportune/mail.py": LINES.replace("line", "mail"),
    "opportune/letter.py": LINES.replace("line", "letter"),
    "opportune/fax.py": LINES.replace("line", "fax"),
    "oppman.py": OPPMAN,
    "pyproject.toml": '[project]\nname = "opportune"\nversion = "1.0.0"\nrequires-python = ">=3.11"\n',
    "requirements.lock": "fastapi==1.0\nhttpx==1.0\n",
    "Dockerfile": "FROM python:3.11-slim\n",
    "CHANGELOG.md": "# Changelog\n\n## 1.0.0\n\n### Added\n\n- All of it.\n",
    "docs/web.md": "The web of 1.0.\n",
}
NOTES = """\
# Changelog

## Unreleased

### Breaking

- Not yet.

## [1.1.0] - 2026-12-01

### Breaking

- `letter` is `email`: change the
  import.

### Settings

- `MAIL_REPLY_TO`.

### Added

- More.
- Even more.

""" + FIRST["CHANGELOG.md"].partition("\n\n")[2]
SECOND = {
    **{path: text for path, text in FIRST.items() if path not in {"opportune/letter.py", "opportune/fax.py"}},
    "opportune/__init__.py": '__version__ = "1.1.0"\n',
    "opportune/web.py": LINES.replace("line_2 = 2", "line_2 = 'of the release'"),
    "opportune/mail.py": LINES.replace("line", "mail") + "more = True\n",
    "opportune/email.py": FIRST["opportune/letter.py"] + "is_renamed = True\n",
    "opportune/migrations/accounts/0002_names.py": "# a migration\n",
    "pyproject.toml": FIRST["pyproject.toml"].replace("1.0.0", "1.1.0"),
    "requirements.lock": "fastapi==1.1\nhttpx==1.0\n",
    "Dockerfile": "FROM python:3.14-slim\n",
    "CHANGELOG.md": NOTES,
    "docs/web.md": "The web of 1.1.\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def commit(folder: Path, message: str = "Work") -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def repository(folder: Path, *releases: dict[str, str]) -> Path:
    """Create a repository of the framework, with a tag for each release."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for number, files in enumerate(releases):
        for path in git(folder, "ls-files").split():
            (folder / path).unlink()
        commit(write(folder, files), f"Release {number}")
        git(folder, "tag", f"v1.{number}.0")
    return folder


def project(folder: Path) -> Path:
    """Create a project from the first release, in git and with its record."""
    files = {path: text for path, text in FIRST.items() if path not in {"CHANGELOG.md", "docs/web.md"}}
    write(folder, {**files, "pyproject.toml": FIRST["pyproject.toml"].replace("opportune", "Shop")})
    write(folder, {"app/books.py": "mine = True\n", "README.md": "The shop\n"})
    (folder / "oppman.py").chmod(0o755)
    record_release(folder, startproject=["Shop", "--with", ""], version="1.0.0")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "Start")
    return folder


def snapshot(folder: Path) -> dict[Path, bytes]:
    """Return the content of all files, except git's index."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "index"}


def assert_refused(outcome: Outcome, message: str, shop: Path) -> None:
    """Check that the command failed with one line and changed nothing."""
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.code == 1
    assert git(shop, "branch", "--format=%(refname:short)") in {"main", "HEAD"}
