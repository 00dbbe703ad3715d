"""`test`: arguments of pytest, and the selection of databases."""

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from packaging.utils import canonicalize_name

from opportune.cli.development import test as test_command
from opportune.cli.environment.locks import BASE, DEV, FRAMEWORK
from opportune.cli.main import main
from opportune.project.layout import ONLY_DATABASE, PROJECT
from opportune.testing import plugin
from tests.opportune.cli.command_server import FEATURE_MODULES, PYTEST_OPTIONS, command_server
from tests.opportune.cli.conftest import Oppman


def test_arguments_go_to_pytest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs: list[tuple[list[str], Path, bool]] = []

    def record(command: list[str], environ: Mapping[str, str]) -> None:
        runs.append((command, Path.cwd(), "PYTHONDONTWRITEBYTECODE" in environ))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(test_command, "exec_process", record)
    arguments = ["-xk", "books and not slow", "tests", "--durations=3"]
    assert main(["test", *arguments]) == 0
    assert runs == [([sys.executable, "-m", "pytest", *arguments], PROJECT, False)]


RunTests = Callable[..., tuple[list[str], str]]


@pytest.fixture
def run_test_command(monkeypatch: pytest.MonkeyPatch) -> RunTests:
    """Run `test` with these arguments, and return the arguments and the database of pytest."""

    def run(*arguments: str) -> tuple[list[str], str]:
        runs: list[tuple[list[str], str]] = []
        monkeypatch.chdir(PROJECT)
        monkeypatch.setattr(
            test_command,
            "exec_process",
            lambda command, environ=os.environ: runs.append((command[3:], environ.get(ONLY_DATABASE, ""))),
        )
        assert main(["test", *arguments]) == 0
        return runs[0]

    return run


def test_parts_of_the_suite_have_options(run_test_command: RunTests) -> None:
    tests, cores = str(PROJECT / "tests"), os.cpu_count() or 1
    number = str(cores + 1)
    in_parallel = ["-n", number, "--dist", "worksteal"]
    assert run_test_command() == (in_parallel, "")
    assert run_test_command("--project") == (
        [tests, f"--ignore={tests}/opportune", "-n", str(cores), *in_parallel[2:]],
        "",
    )
    assert run_test_command("--framework", "-x") == ([f"{tests}/opportune", "-x"], "")
    assert run_test_command("--browser", "--sqlite") == (["-m", "e2e", *in_parallel], "sqlite")
    assert run_test_command("tests/users", "--postgres") == (["tests/users"], "postgresql")
    assert run_test_command("-n", "4", "-x") == (["-n", "4", "-x"], "")
    assert run_test_command("-x", "-n", "tests/users") == (["-x", *in_parallel, "tests/users"], "")


def test_read_only_project_has_no_cache(
    run_test_command: RunTests, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert run_test_command("tests/users") == (["-p", "no:cacheprovider", "tests/users"], "")
    assert capsys.readouterr().err == f"{PROJECT} is read-only, so pytest cannot remember failed tests.\n"


def test_accept_access_runs_no_tests(run_test_command: RunTests) -> None:
    assert run_test_command("--accept-access") == ([], "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--accept-access", "tests/users"], 2, "--accept-access runs no tests"),
        (["--accept-access", "--sqlite"], 2, "--accept-access runs no tests"),
        (["--project", "--framework"], 2, "--project and --framework cannot be combined."),
        (["--sqlite", "--postgres"], 2, "--sqlite and --postgres cannot be combined."),
        (["--framework"], 1, "does not include the framework's tests"),
    ],
)
def test_refused_options(
    oppman: Oppman, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.setattr(test_command, "FRAMEWORK_TESTS", tmp_path / "opportune")
    assert message in oppman("test", *arguments).line(code)


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("", ["on sqlite", "on postgresql", "served", "without"]),
        ("sqlite", ["on sqlite", "without"]),
        ("postgresql", ["on postgresql", "served", "without"]),
    ],
)
def test_only_one_database_is_used(only: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def item(name: str, database: str = "", *fixtures: str) -> Any:
        path = SimpleNamespace(name="test_this.py")
        callspec = SimpleNamespace(params={"database_kind": database} if database else {})
        return SimpleNamespace(name=name, path=path, callspec=callspec, fixturenames=fixtures)

    parametrized = [item("on sqlite", "sqlite"), item("on postgresql", "postgresql")]
    items = [*parametrized, item("served", "", "postgres_server"), item("without")]
    hook = SimpleNamespace(pytest_deselected=lambda **_: None)
    monkeypatch.setenv(ONLY_DATABASE, only)
    plugin.pytest_collection_modifyitems(cast("pytest.Config", SimpleNamespace(hook=hook)), items)
    assert [item.name for item in items] == expected


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], "--no-deps -r requirements/dev.lock -r requirements/framework.lock\n"),
        (["tests/conftest.py"], "--no-deps -r requirements/dev.lock\n"),
        (["--project"], "--no-deps -r requirements/dev.lock\n"),
    ],
)
def test_missing_packages_name_the_command(
    oppman: Oppman, monkeypatch: pytest.MonkeyPatch, arguments: list[str], command: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert oppman("test", *arguments).line().endswith(command)


def test_feature_tests_need_only_the_dev_lock() -> None:
    framework_packages = packages_of(FRAMEWORK) - packages_of(DEV) - packages_of(BASE)
    packages = packages_distributions().items()
    modules = [
        module for module, names in packages if {canonicalize_name(name) for name in names} <= framework_packages
    ]
    assert {"moto", "boto3", "schemathesis"} < set(modules)
    options = [*PYTEST_OPTIONS, "--collect-only", "-q", "tests", "--ignore=tests/opportune"]
    program = "import sys, pytest; sys.modules.update(dict.fromkeys(sys.argv[2:])); print(int(pytest.main(%s)))"
    with command_server(PROJECT, "app.main", *FEATURE_MODULES) as run:
        code, output = run("-c", program % options, *modules)
    assert (code, output.splitlines()[-1]) == (0, "0"), output[-5000:]


def packages_of(lock: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", (PROJECT / lock).read_text(), re.MULTILINE))
