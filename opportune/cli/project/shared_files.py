"""Files that a project shares with the framework, such as Dockerfile and pyproject.toml.

`startproject` writes them once, and then they belong to the project. `upgrade` merges the changes of later releases,
which it gets from `python -m opportune.cli.project.shared_files FOLDER TITLE SLUG HASH` of the new release. Uses only
the standard library.
"""

import json
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from string import Template
from typing import NamedTuple

from opportune import __version__
from opportune.cli.environment.locks import OPTIONAL_LOCKS
from opportune.errors import OperatorError
from opportune.project.layout import FRAMEWORK

RECORD = ".opportune.json"
"""File of a project with its `ProjectNames`."""
STARTER = "starter"
"""Folder of the package with the starter's files."""
IS_CLONE = not (FRAMEWORK / STARTER).is_dir()
STARTER_ROOT = FRAMEWORK.parent if IS_CLONE else FRAMEWORK / STARTER
"""Folder of the starter's files: the clone, or a part of the package."""
SHARED_PATHS = (
    ".agents",
    ".ci",
    ".devcontainer",
    ".dockerignore",
    ".editorconfig",
    ".gitattributes",
    ".github",
    ".gitignore",
    ".mcp.json",
    ".pre-commit-config.yaml",
    "CLAUDE.md",
    "Dockerfile",
    "alembic.ini",
    "compose.yaml",
    "migrations/env.py",
    "migrations/script.py.mako",
    "oppman.py",
    "pyproject.toml",
    "requirements.lock",
    "requirements",
    "tests/__init__.py",
    "tests/conftest.py",
)
"""Files of the starter that the wheel has. Each project gets them, except optional locks, which it gets when needed."""
ONLY_STARTER = (
    ".ci/publish-docs",
    ".ci/release",
    ".github/ISSUE_TEMPLATE",
    ".github/PULL_REQUEST_TEMPLATE.md",
    ".github/workflows/docs.yml",
    ".github/workflows/release.yml",
    "hatch_build.py",
    "requirements/build.lock",
    "requirements/docs.lock",
    "requirements/framework.lock",
)
"""Exceptions from SHARED_PATHS."""
FOLDERS = ("app", "migrations", "static", "templates", "tests")
"""Folders of the starter that are copied to a project, without the framework's tests."""
STARTER_TESTS, ENV_EXAMPLE = "tests/opportune", ".env.example"
LANDING_PAGE = "templates/home/home.html"
PRESENTATION = (LANDING_PAGE, "static/presentation")
"""Files of the clone that present Opportune. Projects get another landing page from the skeleton."""
NOT_COPIED = re.compile(r"(^|/)(__pycache__|\.DS_Store|\.\w+_cache)(/|$)|\.(pyc|mo)$")
EXECUTABLE = (".ci/run", "oppman.py")
SKELETON = Path(__file__).parents[1] / "skeleton/project"
BASE_LOCK = "requirements.lock"
VENDOR = "vendor"
"""Folder of a project with the wheel of the framework."""
EMPTY_VENDOR = "Wheels that no package index has. `requirements.lock` pins them.\n"
FIND_LINKS = f"--find-links ./{VENDOR}\n"
FIRST_VERSION = "0.1.0"
"""Version of a new project."""
FILES_WITH_BLOCKS = (
    "pyproject.toml",
    ".dockerignore",
    ".gitignore",
    "Dockerfile",
    ".ci/run",
    ".github/workflows/ci.yml",
)
"""Files with lines that only the starter or only projects need."""
STARTER_BLOCK = re.compile(
    r"^[ \t]*# startproject: leave out\n.*?^[ \t]*# startproject: go on\n", re.MULTILINE | re.DOTALL
)
PROJECT_LINE = re.compile(r"^([ \t]*)# startproject: write ", re.MULTILINE)
"""Lines that are comments in the starter and code in a project."""


class ProjectNames(NamedTuple):
    title: str
    """Name of the site."""
    slug: str
    """Name of the distribution."""


def write_record(root: Path, names: ProjectNames) -> None:
    """Write the names that `upgrade` needs for the shared files of later releases."""
    write_with_line_feeds(root / RECORD, json.dumps(names._asdict(), indent=1) + "\n")


def read_record(root: Path) -> ProjectNames | None:
    """Return the names of a project; None in a clone of the starter."""
    try:
        record = json.loads((root / RECORD).read_bytes())
        return ProjectNames(record["title"], record["slug"])
    except FileNotFoundError:
        return None
    except (LookupError, TypeError, ValueError) as error:
        raise OperatorError(f"{RECORD} is damaged. Restore it: git checkout HEAD -- {RECORD}") from error


def write_shared_files(root: Path, folder: Path, names: ProjectNames, wheel_hash: str) -> None:
    """Write the shared files of a project from the starter's in `root`. The lock pins the wheel with this hash."""
    copy_files(root, folder, set(shared_files(root)) - set(OPTIONAL_LOCKS.values()))
    for name in FILES_WITH_BLOCKS:
        text = STARTER_BLOCK.sub("", (folder / name).read_text(encoding="utf-8"))
        write_with_line_feeds(folder / name, PROJECT_LINE.sub(r"\1", text))
    pyproject = folder / "pyproject.toml"
    substitute(pyproject, r'^name = ".*"$', f'name = "{names.slug}"')
    # The version of the project, which upgrades of the framework do not change.
    substitute(pyproject, r'^version = ".*"$', f'version = "{FIRST_VERSION}"')
    substitute(pyproject, r'^description = ".*"$', f"description = {json.dumps(names.title, ensure_ascii=False)}")
    lock = folder / BASE_LOCK
    write_with_line_feeds(lock, with_wheel(lock.read_text(encoding="utf-8"), FRAMEWORK.name, __version__, wheel_hash))
    render("AGENTS.md", folder, {"title": names.title})


def shared_files(root: Path) -> Iterator[str]:
    """Yield the paths of the shared files in a folder, without compiled files."""
    return _files_in(root, SHARED_PATHS, ONLY_STARTER)


def project_files(root: Path) -> Iterator[str]:
    """Yield the paths of the files that a project gets in addition, without compiled files.

    Catalogues come with `--language`, or later with `makemessages`.
    """
    names = _files_in(root, (*FOLDERS, ENV_EXAMPLE), (STARTER_TESTS, *PRESENTATION))
    return (name for name in names if "/locale/" not in name)


def starter_files(root: Path) -> list[str]:
    """Return the paths of all files in a clone that new projects need, for the wheel."""
    return sorted({*shared_files(root), *project_files(root), *_files_in(root, ("app/*/locale",), ())})


def _files_in(root: Path, patterns: Iterable[str], excluded: Collection[str]) -> Iterator[str]:
    paths = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    names = (file.relative_to(root).as_posix() for file in files if file.is_file())
    prefixes = tuple(f"{name}/" for name in excluded)
    return (name for name in names if not (f"{name}/".startswith(prefixes) or NOT_COPIED.search(name)))


def copy_files(root: Path, folder: Path, paths: Iterable[str]) -> None:
    """Copy files without their modes, because the starter may be read-only."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, folder / path)
        if path in EXECUTABLE:
            (folder / path).chmod(0o755)


def with_wheel(lock: str, name: str, version: str, wheel_hash: str) -> str:
    """Return the base lock with a wheel of `vendor/`, at its place in the alphabet."""
    entry = f"{name}=={version} \\\n    --hash=sha256:{wheel_hash}\n"
    packages = re.split(r"^(?=[a-z])", lock.removeprefix(FIND_LINKS), flags=re.MULTILINE | re.IGNORECASE)
    return FIND_LINKS + "".join(sorted([*packages, entry], key=lambda package: package.partition("=")[0].lower()))


def render(name: str, folder: Path, placeholders: Mapping[str, str]) -> None:
    """Write a file from its template in the skeleton."""
    text = Template((SKELETON / f"{name}.tmpl").read_text(encoding="utf-8")).substitute(placeholders)
    write_with_line_feeds(folder / name, text)


def substitute(path: Path, pattern: str, replacement: str) -> None:
    """Replace the first match of a pattern in a file."""
    text = path.read_text(encoding="utf-8")
    write_with_line_feeds(path, re.sub(pattern, lambda _match: replacement, text, count=1, flags=re.MULTILINE))


def write_with_line_feeds(path: Path, text: str) -> None:
    """Write a file with the same line endings on all platforms, because `upgrade` compares bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    folder_, title, slug, hash_ = sys.argv[1:]
    write_shared_files(STARTER_ROOT, Path(folder_), ProjectNames(title, slug), hash_)
