import importlib.util
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from opportune.cli import test as subject
from opportune.cli.environment import BASE, DEV, FRAMEWORK
from opportune.cli.installation import plain
from opportune.cli.main import main
from opportune.project import PROJECT


def test_arguments_and_options_go_to_pytest_in_the_projects_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[object] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(
        subject,
        "exec_process",
        lambda command, environ: seen.extend([command, Path.cwd(), "PYTHONDONTWRITEBYTECODE" in environ]),
    )
    assert main(["test", "-xk", "books and not slow", "tests", "--durations=3"]) == 0
    words = ["-xk", "books and not slow", "tests", "--durations=3"]
    assert seen == [[sys.executable, "-m", "pytest", *words], PROJECT, False], "what is compiled is kept for all"


@pytest.mark.parametrize(
    ("arguments", "installing"),
    [
        ([], "--no-deps -r requirements-dev.lock -r requirements-framework.lock\n"),
        (["tests/conftest.py"], "--no-deps -r requirements-dev.lock\n"),
        (["--project"], "--no-deps -r requirements-dev.lock\n"),
    ],
)
def test_what_the_tests_lack_is_one_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], installing: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["test", *arguments]) == 1
    assert capsys.readouterr().err.endswith(installing)


def test_the_tests_of_features_need_nothing_that_only_the_frameworks_have() -> None:
    only = packages_of(FRAMEWORK) - packages_of(DEV) - packages_of(BASE)
    modules = [module for module, of in packages_distributions().items() if {plain(name) for name in of} <= only]
    assert {"moto", "boto3", "schemathesis"} < set(modules)
    code = "import sys, pytest; sys.modules.update(dict.fromkeys(sys.argv[1:])); sys.exit(pytest.main([]))"
    options = "-p pytest_asyncio.plugin -p no:cacheprovider --collect-only -q tests --ignore=tests/opportune"
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": options}
    command = [sys.executable, "-c", code, *modules]
    result = subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-2000:]


def packages_of(lock: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", (PROJECT / lock).read_text(), re.MULTILINE))
