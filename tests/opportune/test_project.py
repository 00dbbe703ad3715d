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

from opportune.admin.mount import ADMIN_PATH
from opportune.application import create_app
from opportune.cli.registry import MODULES, help_line
from opportune.cli.scaffold.installed import INSTALLED
from opportune.cli.scaffold.removal import FOLDERS, Removal
from opportune.config.project import PROJECT, USERS, installed_features
from opportune.testing.access import addresses, everyone, example, is_of_project, of_features
from opportune.testing.asgi_requests import send_request
from opportune.testing.plugin import settings_for
from opportune.testing.services.missing_programs import skip_for_missing
from tests.opportune.cli.command_server import FEATURES as OF_FRAMEWORK
from tests.opportune.cli.command_server import RunCommand, command_server, link

FEATURES = sorted(path.parent.name for path in (PROJECT / "app").glob("*/feature.py") if path.parent.name != USERS)

NAMED_BY_WORD = [name for name in FEATURES if name not in ("chat", "events", "home")]
"""Those whose name means nothing else: of the others only their paths and modules are looked for."""

IMPORTED = ("opportune.testing.fixtures", "opportune.testing.access", *OF_FRAMEWORK, f"app.{USERS}.feature")
"""What takes longest when pages are read and tests start, and knows no feature that can be deleted."""

MIGRATE = """
from opportune.testing.plugin import migrate
import app.main
migrate("sqlite:///data/new.db")
"""
"""And builds the site, before."""

CODE_FOLDERS, CODE_ENDS = ("app", "templates", "static", "tests"), (".css", ".html", ".js", ".py", ".txt")
USER = f"{ADMIN_PATH}/user/details/1"
FRAMEWORK = "opportune"
THIS_FILE = Path(__file__).relative_to(PROJECT).as_posix()

# Of its tests: the others know no feature, which import-linter sees to, or have some of such names.
ASKED = tuple(f"tests/{FRAMEWORK}/{part}/" for part in ("accounts", "admin", "cli", "security"))

SINGULAR = "|".join(f"{name.removesuffix('s')}" for name in FEATURES)
# Neither of a stream's events, nor what comes below an address of the framework's, as in f"{ACCOUNTS}/events".
NAMED = re.compile(
    rf'\bapp\.({SINGULAR})|(?<!\w)(?<![A-Z]\}})/({SINGULAR})s?\b|(?<![]\w]\[)"({SINGULAR})"|["\']({SINGULAR})s?/'
)

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
    """Features to be left out at once, so that each is once while another is there, whichever two one takes.

    Each is there in other rounds than any other, and in as many: no feature's rounds are all among another's.
    """
    number = next(number for number in count(1) if comb(number, number // 2) >= len(FEATURES))
    there = dict(zip(FEATURES, combinations(range(number), number // 2), strict=False))
    return [[name for name in FEATURES if each not in there[name]] for each in range(number)]


def test_each_feature_is_left_out_while_each_other_one_is_there() -> None:
    left_out = rounds()
    for one, other in permutations(FEATURES, 2):
        assert any(one in names and other not in names for names in left_out), f"{one} without {other}"


async def test_pages_are_read_without_other_features(sqlite_template: Path, tmp_path: Path) -> None:
    """By an owner, as the framework's are in a copy without any feature: there this test is run, too."""
    for number, left_out in enumerate(rounds()):
        file = tmp_path / f"{number}.db"
        shutil.copyfile(sqlite_template, file)
        there = [feature for feature in installed_features() if feature.name not in left_out]
        settings = settings_for(f"sqlite:///{file}", *of_features()).model_copy(update={"jobs": "off"})
        site = create_app(settings, there)
        async with site.router.lifespan_context(site):
            people = await everyone(site)
            answers = {
                path: await send_request(site, "GET", example(path), people["owner"])
                for source, method, path in addresses(site)
                if method == "GET" and (is_of_project(source) or not FEATURES) and not path.startswith(ADMIN_PATH)
            }
            answers[USER] = await send_request(site, "GET", USER, people["superuser"])  # where features have a line
        assert {path: answer.status for path, answer in answers.items() if answer.is_crash} == {}
        own = {name for name in FEATURES if any(path.startswith(f"/{name}") for path in answers)}
        assert (own & {*left_out}, bool(own), answers[USER].status) == (set(), bool(FEATURES), 200)


def test_no_file_of_others_uses_a_feature() -> None:
    """No code and no template wants its modules, tables, migrations or files, and no test its addresses and models."""
    used = {name: list(Removal(name, PROJECT).uses()) for name in FEATURES}
    assert {name: places for name, places in used.items() if places} == {}
    files = (path for folder in CODE_FOLDERS for path in (PROJECT / folder).rglob("*.*") if path.suffix in CODE_ENDS)
    names = sorted(path.relative_to(PROJECT).as_posix() for path in files if path != PROJECT / INSTALLED)
    assert [found for name in names for found in others_named_in(name)] == []


def others_named_in(name: str) -> Iterator[str]:
    """The features that a file names by package, address, file or model, and is not of."""
    if name.startswith(f"tests/{FRAMEWORK}/") and not name.startswith(ASKED):
        return
    owner = name.split("/")[1].removesuffix("s")
    for found in NAMED.finditer((PROJECT / name).read_text()):
        if owner not in found.groups():
            yield f"{name}: {found[0]}"


def test_features_can_be_deleted_and_the_rest_goes_on(copy_of_project: Copy) -> None:
    """Some while others stay, and all; of any two one without the other is asked above."""
    project, run = copy_of_project.folder, copy_of_project.run
    copy_of_project.delete(FEATURES[::2])
    assert run("-c", MIGRATE) == (0, "")
    copy_of_project.delete(FEATURES)
    run_tool(project, "ruff", "check", INSTALLED)  # the one file of code that is another
    run_tool(project, "lint-imports", "--no-cache")  # that others know none of them, it says of the whole project
    code, output = run("pytest", "-qx", "-k", test_pages_are_read_without_other_features.__name__, THIS_FILE)
    assert code == 0, output[-7000:]
    assert "1 passed" in output


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


def imported_features(code: str, own: str) -> Iterator[str]:
    """The others than its own."""
    others = {*FEATURES} - {own}
    if others.isdisjoint(re.findall(r"\bapp\.(\w+)", code)):
        return  # and need not be parsed
    for node in ast.walk(ast.parse(code)):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[1] for name in names if name.startswith("app.") and name.split(".")[1] in others)


def owner(name: str) -> str:
    """The feature in whose folders a file is, if there is one."""
    return next((each for each in FEATURES if name.startswith(tuple(f"{folder}/{each}/" for folder in FOLDERS))), "")


def test_nothing_outside_a_feature_imports_it() -> None:
    """So that what is left when it is deleted passes mypy, which takes too long to be run for each."""
    others = [
        (name, feature)
        for name in project_files()
        if name.endswith(".py") and name != "app/installed.py"
        for feature in imported_features((PROJECT / name).read_text(), owner(name))
    ]
    assert others == []


def test_no_test_holds_the_name_that_an_owner_changes() -> None:
    of_the_starter = {
        "tests/opportune/cli/test_main.py",
        "tests/opportune/cli/environment/test_environment.py",
        "tests/opportune/cli/project/upgrading/test_refusals.py",
        "tests/opportune/cli/project/upgrading/test_source.py",
        "tests/opportune/cli/project/upgrading/test_upgrade.py",
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


def test_one_skipped_test_is_singular(tmp_path: Path, copy_of_project: Copy) -> None:
    code = SKIPPED.replace(', "Redis", "PgBouncer"', "")
    _, output = run_tests(copy_of_project, tmp_path, code, "-p", "opportune.testing.services.missing_programs")
    assert output.splitlines()[-3] == "1 test was skipped:"


def test_ci_misses_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Redis is missing: apt install redis"):
        skip_for_missing("Redis", "apt install redis")


def test_every_command_is_in_the_docs_with_the_same_words() -> None:
    documented = (PROJECT / "docs/commands.md").read_text()
    assert [name for name in MODULES if f"| `{name}` | {help_line(name)} |" not in documented] == []


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
