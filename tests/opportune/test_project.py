"""House rules that no linter can state."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from inspect import isasyncgenfunction, isclass, iscoroutinefunction
from itertools import combinations, count, permutations
from math import comb
from pathlib import Path

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from opportune.application import create_app
from opportune.cli.environment import FRAMEWORK_TESTS
from opportune.cli.installed import INSTALLED
from opportune.cli.registry import COMMANDS
from opportune.cli.removal import FOLDERS, Removal
from opportune.project import PROJECT, USERS
from opportune.testing.plugin import settings_for
from opportune.testing.services.missing_programs import skip_for_missing
from tests.opportune.cli.command_server import FEATURES as OF_FRAMEWORK
from tests.opportune.cli.command_server import RunCommand, command_server, link

FEATURES = sorted(path.parent.name for path in (PROJECT / "app").glob("*/feature.py") if path.parent.name != USERS)

NAMED_BY_WORD = [name for name in FEATURES if name not in ("chat", "events", "home")]
"""Those whose name means nothing else: of the others only their paths and modules are looked for."""

# On one kind of database and without programs of their own: this is about what refers to what.
QUICKLY = ("-qx", "-m", "not e2e and not model", "-k", "not postgresql")

IMPORTED = (
    *("opportune.testing.fixtures", "opportune.testing.access", "opportune.features", "opportune.cli.main"),
    *(*OF_FRAMEWORK, f"app.{USERS}.feature"),
)
"""What takes longest when tests start, and knows no feature that can be deleted."""

# Reads every page of what is left: a template that wants what is gone fails there.
WALK = "tests/opportune/security/test_reading.py"
NEW_ENVIRONMENTS = "tests/opportune/cli/test_environment.py"

FRAMEWORK = "opportune"

# Run there: the rest of the framework's tests know no feature, which import-linter sees to, or start processes.
ASKED = ("accounts", "admin", "cli", "security")

CODE_BLOCK = re.compile("^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")

NOT_OURS_TO_PRINT = re.compile(r"^\s*print\(", re.MULTILINE)


def project_files() -> list[str]:
    """What git has, or would have, of the project. Neither git nor a clone has to be there."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return files_not_ignored()
    return sorted(name for name in listed if (PROJECT / name).is_file())


def files_not_ignored() -> list[str]:
    """The files that no line of .gitignore names, for those kinds of lines that are there."""
    lines = [".git", *(line.rstrip("/") for line in (PROJECT / ".gitignore").read_text().splitlines())]
    found = []
    for folder, folders, files in os.walk(PROJECT):
        patterns = [line.removeprefix("/") for line in lines if not line.startswith("/") or Path(folder) == PROJECT]
        folders[:] = [name for name in folders if not any(fnmatch(name, pattern) for pattern in patterns)]
        names = (name for name in files if not any(fnmatch(name, pattern) for pattern in patterns))
        found += [(Path(folder) / name).relative_to(PROJECT).as_posix() for name in names]
    return sorted(found)


def remove(feature: str, project: Path) -> None:
    """What `oppman.py removeapp` does."""
    removal = Removal(feature, project)
    removal.refuse()
    removal.carry_out()
    assert list(removal.leftovers()) == []


def naming(features: list[str], project: Path) -> Iterator[str]:
    """The modules of tests that are left and name one of these by package, address or model: others cannot want it.

    What is not a feature's own is asked when all are gone, and not for each again.
    """
    names = "|".join(name.removesuffix("s") for name in features)
    # Neither of a stream's events, nor what comes below an address of the framework's, as in f"{ACCOUNTS}/events".
    named = re.compile(rf'\bapp\.(?:{names})|(?<!\w)(?<![A-Z]\}})/(?:{names})s?\b|(?<![]\w]\[)"(?:{names})"')
    of_framework = FRAMEWORK_TESTS.relative_to(PROJECT).as_posix()
    asked = tuple(f"{of_framework}/{part}/" for part in ASKED) if features == FEATURES else ()
    for path in sorted((project / "tests").rglob("test_*.py")):
        name = path.relative_to(project).as_posix()
        counts = name.startswith(asked) if name.startswith(of_framework) else True
        if counts and name not in (WALK, NEW_ENVIRONMENTS) and named.search(path.read_text()):
            yield name


class Copy:
    """The project in another folder, without some features, and what runs tests there."""

    def __init__(self, folder: Path, run: RunCommand) -> None:
        self.folder = folder
        self.run = run
        self.deleted: Sequence[str] = ()

    def delete(self, features: Sequence[str]) -> None:
        """Let it be without these, and have all others."""
        if features != self.deleted:
            self.deleted = ()
            put_back(self.folder)
            for feature in features:
                remove(feature, self.folder)
            self.deleted = features


@pytest.fixture(scope="module")
def copy_of_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    folder = tmp_path_factory.mktemp("project")
    put_back(folder)
    with command_server(folder, *IMPORTED) as run:
        yield Copy(folder, run)


def put_back(copy: Path) -> None:
    """Give a copy of the project what it does not have (any more), and the texts that lines were taken out of."""
    for name in project_files():
        is_ours = name.startswith(f"{FRAMEWORK}/")  # where nothing is written into, or taken out
        is_text = name in (INSTALLED, ".env.example") or (name.endswith(".md") and not is_ours)
        if is_text or not (copy / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            # A copy is of the same age, too, as what is compiled wants it.
            (link if is_ours else shutil.copy2)(str(PROJECT / name), str(copy / name))


def run_tool(project: Path, tool: str, *arguments: str) -> None:
    """Run a tool of this environment in another copy of the project."""
    command = [str(Path(sys.executable).parent / tool), *arguments]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]


def rounds() -> list[list[str]]:
    """Features to be deleted at once, so that each is gone once while another is there, whichever two one takes.

    Each is there in other rounds than any other, and in as many: no feature's rounds are all among another's.
    """
    number = next(number for number in count(1) if comb(number, number // 2) >= len(FEATURES))
    there = dict(zip(FEATURES, combinations(range(number), number // 2), strict=False))
    return [[name for name in FEATURES if each not in there[name]] for each in range(number)]


def test_each_feature_is_deleted_while_each_other_one_is_there() -> None:
    deleted = rounds()
    for one, other in permutations(FEATURES, 2):
        assert any(one in names and other not in names for names in deleted), f"{one} without {other}"


@pytest.mark.parametrize("deleted", [*rounds(), FEATURES], ids="-".join)
def test_a_feature_can_be_deleted_and_the_rest_goes_on(deleted: list[str], copy_of_project: Copy) -> None:
    copy_of_project.delete(deleted)
    project, run = copy_of_project.folder, copy_of_project.run
    run_tool(project, "ruff", "check", INSTALLED)  # the one file of code that is another
    if deleted == FEATURES:
        run_tool(project, "lint-imports", "--no-cache")  # that others know none of them, it says of the whole project
    # The framework's pages are read when all are gone: that some are makes no other page of them.
    environ = ["ONLY_PROJECT=1"] if deleted != FEATURES else []
    code, output = run(*environ, "pytest", *QUICKLY, WALK, *naming(deleted, project))
    assert code == 0, output[-7000:]


def test_nothing_of_a_deleted_feature_is_left(copy_of_project: Copy) -> None:
    """What only says its name would mislead whoever reads it, though nothing breaks."""
    paths = "|".join(rf"\b{re.escape(folder)}/{name}\b" for folder in FOLDERS for name in FEATURES)
    words = "|".join(rf"\b{name}\b|\b{name}_" for name in NAMED_BY_WORD)
    named = re.compile(rf"{paths}|\bapp\.(?:{'|'.join(FEATURES)})\b|{words}")
    copy_of_project.delete(FEATURES)
    history = {"CHANGELOG.md", Path(__file__).relative_to(PROJECT).as_posix()}
    names = [name for name in project_files() if name not in history and not name.endswith((".png", ".ico", ".lock"))]
    left = {name: path for name in names if (path := copy_of_project.folder / name).is_file()}
    texts = {name: path.read_text().lower() for name, path in left.items()}  # in which re finds sooner than in any case
    assert [f"{name}: {found[0]}" for name, text in texts.items() if (found := named.search(text))] == []


def imported_features(code: str) -> Iterator[str]:
    if not re.search(rf"\bapp\.(?:{'|'.join(FEATURES)})\b", code):
        return  # and need not be parsed
    for node in ast.walk(ast.parse(code)):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[1] for name in names if name.startswith("app.") and name.split(".")[1] in FEATURES)


def test_nothing_outside_a_feature_imports_it() -> None:
    """So that what is left when it is deleted passes mypy, which takes too long to be run for each."""
    others = [
        (name, feature)
        for name in project_files()
        if name.endswith(".py") and name != "app/installed.py"
        for feature in imported_features((PROJECT / name).read_text())
        if not name.startswith(tuple(f"{folder}/{feature}/" for folder in FOLDERS))
    ]
    assert others == []


def test_no_test_holds_the_name_that_an_owner_changes() -> None:
    of_the_starter = {
        "tests/opportune/cli/test_main.py",
        "tests/opportune/cli/test_environment.py",
        "tests/opportune/cli/upgrading/test_refusals.py",
        "tests/opportune/cli/upgrading/test_source.py",
        "tests/opportune/cli/upgrading/test_upgrade.py",
        "tests/opportune/test_project.py",
    }
    files = {name for name in project_files() if name.startswith("tests/") and name.endswith(".py")}
    assert [name for name in sorted(files - of_the_starter) if "Opportune" in (PROJECT / name).read_text()] == []


def test_the_files_of_the_project_are_the_same_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = project_files()
    assert {"oppman.py", ".gitignore", ".env.example", "tests/opportune/test_project.py"} < set(listed)
    monkeypatch.setenv("PATH", "")
    assert project_files() == listed


def run_tests(copy: Copy, folder: Path, code: str, *options: str) -> tuple[int, str]:
    """Run tests of their own with the project's configuration and these options."""
    (folder / "test_it.py").write_text(code)
    configured = ("-c", f"{PROJECT}/pyproject.toml", f"--rootdir={folder}")
    return copy.run("CI=", "pytest", *configured, *options, str(folder))


def test_no_test_waits_for_ever(tmp_path: Path, pytestconfig: pytest.Config, copy_of_project: Copy) -> None:
    assert float(pytestconfig.getini("faulthandler_timeout")) == 300
    waiting = "import threading\ndef test_it(): threading.Event().wait()\n"
    code, output = run_tests(copy_of_project, tmp_path, waiting, "-o", "faulthandler_timeout=0.5")
    assert code == 1
    assert "test_it.py" in output.partition("Timeout")[2]


SKIPPED = """
import pytest
from opportune.testing.services.missing_programs import skip_for_missing

@pytest.mark.parametrize("program", ["PgBouncer", "Redis", "PgBouncer"])
def test_it(program): skip_for_missing(program, f"apt install {program.lower()}")
"""


def test_what_is_skipped_is_counted_at_the_end_with_what_brings_it(tmp_path: Path, copy_of_project: Copy) -> None:
    _, output = run_tests(copy_of_project, tmp_path, SKIPPED, "-p", "opportune.testing.services.missing_programs")
    *_, total, first, second, last = output.splitlines()
    assert total == "3 tests were skipped:"
    assert first == "     2  PgBouncer is missing: apt install pgbouncer"
    assert second == "     1  Redis is missing: apt install redis"
    assert "3 skipped in" in last


def test_ci_misses_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Redis is missing: apt install redis"):
        skip_for_missing("Redis", "apt install redis")


def test_every_command_is_in_the_docs_with_the_same_words() -> None:
    documented = (PROJECT / "docs/commands.md").read_text()
    for commands in COMMANDS.values():
        for name, words in commands.items():
            assert f"| `{name}` | {words} |" in documented, name


def test_every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there() -> None:
    pages = [PROJECT / name for name in project_files() if name.endswith(".md")]
    texts = {page: CODE_BLOCK.sub("", page.read_text()) for page in pages}
    headings = {
        page: {anchor(each) for each in re.findall("^#+ (.*)", text, re.MULTILINE)} for page, text in texts.items()
    }
    dead = []
    for page, text in texts.items():
        for target in LINK.findall(text):
            path, _, heading = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            if not linked.exists() or (heading and linked in texts and heading not in headings[linked]):
                dead.append(f"{page.relative_to(PROJECT)}: {target}")
    assert dead == []


def anchor(heading: str) -> str:
    """What GitHub calls it."""
    return re.sub(r"[^\w -]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()).replace(" ", "-")


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 130


def test_nothing_names_an_index_or_a_path_of_a_machine() -> None:
    forbidden = re.compile(r"/(root|work|home/\w+)/|pypi\.org|pythonhosted|registry\.npmjs")
    found = [
        name
        for name in project_files()
        if not name.endswith((".png", ".ico")) and forbidden.search((PROJECT / name).read_text())
    ]
    assert found == [str(Path(__file__).relative_to(PROJECT))], "only this list of what is forbidden"


def test_the_locks_hold_hashes_and_no_address() -> None:
    for lock in PROJECT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "://" not in text
        for entry in re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]:
            assert "--hash=sha256:" in entry, entry


def test_only_the_command_line_prints() -> None:
    printing = [
        name
        for name in project_files()
        if name.startswith(("app/", "opportune/"))
        and not name.startswith("opportune/cli/")
        and name.endswith(".py")
        and not name.endswith("/commands.py")
        and NOT_OURS_TO_PRINT.search((PROJECT / name).read_text())
    ]
    assert printing == []


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils.py", "helpers.py", "common.py", "misc.py"}
    assert not [name for name in project_files() if Path(name).name in drawers]


def called(dependant: Dependant) -> Iterator[Callable[..., object]]:
    for dependency in dependant.dependencies:
        if dependency.call:
            yield dependency.call
        yield from called(dependency)


def test_no_route_sends_a_dependency_to_a_thread() -> None:
    # FastAPI runs what is plain `def` in a thread: a hop on each request for what is done in less time.
    app = create_app(settings_for("sqlite:///unused.db"))
    assert all(isinstance(route, Route | Mount) for route in app.routes), "routers in routers are not looked into"
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    calls = {call for route in routes for call in called(route.dependant)}
    assert len(routes) > 20
    assert len(calls) > 3
    assert [call for call in calls if not isclass(call) and not is_awaited(call)] == []


def is_awaited(call: Callable[..., object]) -> bool:
    return any(iscoroutinefunction(each) or isasyncgenfunction(each) for each in (call, type(call).__call__))
