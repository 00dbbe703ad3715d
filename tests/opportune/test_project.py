"""Features can be removed: the rest of the project neither uses nor names them. Tests that hang or are skipped."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from opportune.admin.middleware import ADMIN_PATH
from opportune.application import create_app
from opportune.cli.scaffold.feature_removal import PARENT_FOLDERS, FeatureRemoval
from opportune.cli.scaffold.installed import INSTALLED
from opportune.project.installed import installed_features
from opportune.project.layout import PROJECT, USERS
from opportune.testing.access.addresses import example_path, list_addresses
from opportune.testing.access.sites import feature_settings_without_databases, headers_by_role
from opportune.testing.access.table import is_project_feature
from opportune.testing.asgi_requests import send_request
from opportune.testing.plugin import settings_for
from opportune.testing.services.missing_programs import skip_for_missing
from tests.opportune.cli.command_server import FEATURE_MODULES, RunCommand, command_server, link

FEATURES = sorted(path.parent.name for path in (PROJECT / "app").glob("*/feature.py") if path.parent.name != USERS)

NAMED_BY_WORD = [name for name in FEATURES if name not in ("chat", "events", "home")]
"""Features whose name is searched as a word. For the others, only paths and modules are searched."""

IMPORTED = (
    *("opportune.testing.fixtures", "opportune.testing.access", "opportune.testing.app"),
    *(*FEATURE_MODULES, f"app.{USERS}.feature"),
)
"""Slow imports that do not depend on deleted features."""

MIGRATE_NEW_DATABASE = """
from opportune.testing.migrations import migrate
import app.main
migrate("sqlite:///data/new.db")
"""
"""Builds the site, then migrates."""

CODE_FOLDERS, CODE_ENDS = ("app", "templates", "static", "tests"), (".css", ".html", ".js", ".py", ".txt")
USER_PAGE = f"{ADMIN_PATH}/user/details/1"
FRAMEWORK = "opportune"
THIS_FILE = Path(__file__).relative_to(PROJECT).as_posix()

# Folders of the framework's tests that are searched. Other tests use features of such names.
SEARCHED_TESTS = tuple(f"tests/{FRAMEWORK}/{part}/" for part in ("accounts", "admin", "cli", "security"))

SINGULAR_NAMES = "|".join(f"{name.removesuffix('s')}" for name in FEATURES)
# Excludes events of streams, and paths below those of the framework, as in f"{ACCOUNTS}/events".
FEATURE_USE = re.compile(
    rf'\bapp\.({SINGULAR_NAMES})|(?<!\w)(?<![A-Z]\}})/({SINGULAR_NAMES})s?\b|(?<![]\w]\[)"({SINGULAR_NAMES})"|["\']({SINGULAR_NAMES})s?/'
)


def project_files() -> list[str]:
    """Return the files that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(name for name in listed if (PROJECT / name).is_file())


def remove_feature(feature: str, project: Path) -> None:
    """Remove a feature as `oppman.py removeapp` does."""
    removal = FeatureRemoval(feature, project)
    removal.check()
    removal.apply()
    assert list(removal.leftovers()) == []


class ProjectCopy:
    """A copy of the project without some features, and a runner for its tests."""

    def __init__(self, folder: Path, run: RunCommand) -> None:
        self.folder = folder
        self.run = run
        self.deleted: Sequence[str] = ()

    def delete(self, features: Sequence[str]) -> None:
        """Delete these features and restore all others."""
        if features != self.deleted:
            self.deleted = ()
            restore(self.folder)
            for feature in features:
                remove_feature(feature, self.folder)
            self.deleted = features


@pytest.fixture(scope="module")
def copy_of_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectCopy]:
    folder = tmp_path_factory.mktemp("project")
    restore(folder)
    with command_server(folder, *IMPORTED) as run:
        yield ProjectCopy(folder, run)


def restore(copy: Path) -> None:
    """Copy missing files of the project, and text files from which lines were removed."""
    for name in project_files():
        is_framework = name.startswith(f"{FRAMEWORK}/")  # never changed
        is_text = name in (INSTALLED, ".env.example") or (name.endswith(".md") and not is_framework)
        if is_text or not (copy / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            # Compiled files need the same modification times.
            (link if is_framework else shutil.copy2)(str(PROJECT / name), str(copy / name))


def run_tool(project: Path, tool: str, *arguments: str) -> None:
    """Run a tool of this environment in a copy of the project."""
    command = [str(Path(sys.executable).parent / tool), *arguments]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]


async def test_pages_are_read_without_other_features(sqlite_template: Path, tmp_path: Path) -> None:
    """Read all pages as owner. The test also runs in a copy without features."""
    for number, excluded in enumerate((FEATURES[::2], FEATURES[1::2])):
        file = tmp_path / f"{number}.db"
        shutil.copyfile(sqlite_template, file)
        installed = [feature for feature in installed_features() if feature.name not in excluded]
        settings = settings_for(f"sqlite:///{file}", *feature_settings_without_databases())
        site = create_app(settings.model_copy(update={"jobs": "off"}), installed)
        async with site.router.lifespan_context(site):
            users = await headers_by_role(site)
            responses = {
                path: await send_request(site, "GET", example_path(path), users["owner"])
                for source, method, path in list_addresses(site)
                if method == "GET" and (is_project_feature(source) or not FEATURES) and not path.startswith(ADMIN_PATH)
            }
            page = await send_request(site, "GET", USER_PAGE, users["superuser"])
            responses[USER_PAGE] = page  # has lines of features
        assert {path: response.status for path, response in responses.items() if response.is_crash} == {}
        visited = {name for name in FEATURES if any(path.startswith(f"/{name}") for path in responses)}
        assert (visited & {*excluded}, bool(visited), responses[USER_PAGE].status) == (set(), bool(FEATURES), 200)


def test_no_other_file_uses_a_feature() -> None:
    """Other code and templates use no modules, tables or files of a feature, and other tests no URLs."""
    used = {name: list(FeatureRemoval(name, PROJECT).uses()) for name in FEATURES}
    assert {name: uses for name, uses in used.items() if uses} == {}
    files = (path for folder in CODE_FOLDERS for path in (PROJECT / folder).rglob("*.*") if path.suffix in CODE_ENDS)
    names = sorted(path.relative_to(PROJECT).as_posix() for path in files if path != PROJECT / INSTALLED)
    assert [match for name in names for match in other_features_in(name)] == []


def other_features_in(name: str) -> Iterator[str]:
    """Yield uses of features in a file that does not belong to them."""
    if name.startswith(f"tests/{FRAMEWORK}/") and not name.startswith(SEARCHED_TESTS):
        return
    owner = name.split("/")[1].removesuffix("s")
    for match in FEATURE_USE.finditer((PROJECT / name).read_text()):
        if owner not in match.groups():
            yield f"{name}: {match[0]}"


def test_project_works_after_features_are_deleted(copy_of_project: ProjectCopy) -> None:
    """Delete half of the features, then all."""
    project, run = copy_of_project.folder, copy_of_project.run
    copy_of_project.delete(FEATURES[::2])
    assert run("-c", MIGRATE_NEW_DATABASE) == (0, "")
    copy_of_project.delete(FEATURES)
    run_tool(project, "ruff", "check", INSTALLED)  # the only changed code
    run_tool(project, "lint-imports", "--no-cache")
    code, output = run("pytest", "-qx", "-k", test_pages_are_read_without_other_features.__name__, THIS_FILE)
    assert code == 0, output[-7000:]
    assert "1 passed" in output


def test_deleted_feature_leaves_nothing(copy_of_project: ProjectCopy) -> None:
    paths = "|".join(rf"\b{re.escape(folder)}/{name}\b" for folder in PARENT_FOLDERS for name in FEATURES)
    words = "|".join(rf"\b{name}\b|\b{name}_" for name in NAMED_BY_WORD)
    pattern = re.compile(rf"{paths}|\bapp\.(?:{'|'.join(FEATURES)})\b|{words}")
    copy_of_project.delete(FEATURES)
    tests_of_projects = {f"tests/opportune/cli/project/test_{name}.py" for name in ("new_project", "startproject")}
    landing_page = {"opportune/cli/project/shared_files.py", "docs/images/take.py", *tests_of_projects}
    skipped_files = {"CHANGELOG.md", THIS_FILE, *landing_page}
    skipped_ends = (".png", ".webp", ".ico", ".lock", ".po")  # catalogues have words of other languages
    names = [name for name in project_files() if name not in skipped_files and not name.endswith(skipped_ends)]
    remaining = {name: path for name in names if (path := copy_of_project.folder / name).is_file()}
    texts = {name: path.read_text().lower() for name, path in remaining.items()}  # faster than ignoring case
    assert [f"{name}: {match[0]}" for name, text in texts.items() if (match := pattern.search(text))] == []


def test_ci_misses_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Redis is missing: apt install redis"):
        skip_for_missing("Redis", "apt install redis")
