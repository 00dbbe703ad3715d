"""`test`: arguments of pytest, and the selection of databases."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest.mock import Mock

import pytest

from opportune.cli.development import test as test_command
from opportune.cli.main import main
from opportune.project.layout import ONLY_DATABASE, PROJECT
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
        exec_process = Mock()
        monkeypatch.chdir(PROJECT)
        monkeypatch.setattr(test_command, "exec_process", exec_process)
        assert main(["test", *arguments]) == 0
        command, *environ = exec_process.mock_calls[0].args
        return command[3:], environ[0].get(ONLY_DATABASE, "") if environ else ""

    return run


def test_parts_of_the_suite_have_options(run_test_command: RunTests) -> None:
    tests, cores = str(PROJECT / "tests"), os.cpu_count() or 1
    number = str(cores + 1)
    in_parallel = ["-n", number, "--dist", "worksteal"]
    assert run_test_command() == (in_parallel, "")
    only_project = [tests, f"--ignore={tests}/opportune", "-n", str(cores), *in_parallel[2:]]
    assert run_test_command("--project") == (only_project, "")
    assert run_test_command("--framework", "-x") == ([f"{tests}/opportune", "-x"], "")
    assert run_test_command("--browser", "--sqlite") == (["-m", "e2e", *in_parallel], "sqlite")
    assert run_test_command("tests/users", "--postgres") == (["tests/users"], "postgresql")
    assert run_test_command("-n", "4", "-x") == (["-n", "4", "-x"], "")
    assert run_test_command("-x", "-n", "tests/users") == (["-x", *in_parallel, "tests/users"], "")


def test_accept_access_runs_no_tests(run_test_command: RunTests) -> None:
    assert run_test_command("--accept-access") == ([], "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--accept-access", "tests/users"], 2, "--accept-access runs no tests"),
        (["--project", "--framework"], 2, "--project and --framework cannot be combined."),
        (["--framework"], 1, "does not include the framework's tests"),
        (["-x"], 1, "There is no folder "),
    ],
)
def test_refused_options(
    oppman: Oppman, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.setattr(test_command, "TESTS", tmp_path / "tests")
    monkeypatch.setattr(test_command, "FRAMEWORK_TESTS", tmp_path / "opportune")
    assert message in oppman("test", *arguments).line(code)
