"""The environment of oppman.py, in a copy with a replacement of uv that only logs its calls."""

import ast
import importlib.util
import os
import select
import shutil
import signal
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from opportune.cli.environment import entry, virtual_environment
from opportune.cli.environment import locks as locks_of_commands
from opportune.cli.environment.installation import UNFINISHED, InstallError
from opportune.cli.environment.locks import BASE, DEV, FRAMEWORK, MODEL, OPTIONAL_LOCKS
from opportune.project import layout
from opportune.project.layout import PROJECT
from tests.opportune.cli.conftest import TIMEOUT_SECONDS
from tests.opportune.cli.environment.fresh_machine import BARE_PYTHON, Machine

AWS = OPTIONAL_LOCKS["aws"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_locks_are_installed_when_they_change(machine: Machine) -> None:
    assert machine.run("migrate", "books")[:2] == (0, "ran migrate books\n")
    venv_call, install_call = machine.calls.read_text().splitlines()
    assert venv_call.endswith(str(machine.venv))
    assert f"--python {machine.venv}/bin/python --compile --no-deps --require-hashes -r" in install_call
    assert machine.run("migrate") == (0, "ran migrate\n", [])
    assert machine.installed_locks() == [BASE]
    (machine.project / BASE).write_text("another version\n")
    assert machine.run("migrate")[0] == 0
    assert machine.installed_locks() == [BASE] * 2
    assert machine.calls.read_text().splitlines().count(venv_call) == 1
    (machine.venv / "bin/python").unlink()
    (machine.venv / "bin/python").symlink_to("/nowhere/python3")
    assert machine.run("migrate")[:2] == (0, "ran migrate\n")
    assert machine.installed_locks() == [BASE] * 3


@pytest.fixture
def installed_locks(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Locks that this process would install on the machine."""
    locks: list[str] = []
    paths = {"VENV": ".venv", "PYTHON": ".venv/bin/python", "SCRIPT": "oppman.py"}
    for name, path in paths.items():
        monkeypatch.setattr(virtual_environment, name, machine.project / path)
    for name, path in {"TESTS": "tests", "FRAMEWORK_TESTS": "tests/opportune"}.items():
        monkeypatch.setattr(locks_of_commands, name, machine.project / path)
    for module in (virtual_environment, locks_of_commands, layout):
        monkeypatch.setattr(module, "PROJECT", machine.project)
    for name in ("SECRETS_FROM", *chain(*locks_of_commands.SETTINGS_BY_LOCK.values())):
        monkeypatch.delenv(name, raising=False)
    for name in ("install", "install_if_possible"):
        monkeypatch.setattr(virtual_environment, name, locks.append)
    monkeypatch.setattr(virtual_environment, "make_environment", lambda: None)
    return locks


@pytest.mark.parametrize(
    ("arguments", "locks"),
    [
        (["quickstart", "--port", "1"], [BASE, MODEL]),
        (["runserver"], [BASE]),
        (["test", "-k", "books", "tests/opportune"], [BASE, DEV, FRAMEWORK, MODEL]),
        (["test", "-x", "tests/books/test_pages.py::test_one", "-k", "one or " * 50], [BASE, DEV]),
        (["test", "tests/talks"], [BASE, DEV, MODEL]),
        (["test", "--project"], [BASE, DEV, MODEL]),
        (["lock"], [BASE, DEV]),
        (["--version"], [BASE]),
    ],
)
def test_command_installs_its_locks(installed_locks: list[str], arguments: list[str], locks: list[str]) -> None:
    assert virtual_environment.prepare(arguments)
    assert installed_locks == locks


@pytest.mark.parametrize(
    ("lines", "locks"),
    [
        ("SENTRY_DSN=https://key@127.0.0.1/1", []),  # its feature is not listed
        ("BACKUP_RECIPIENT=age1x", [OPTIONAL_LOCKS["backup"]]),
        ("LLM_DIALECT=anthropic", [OPTIONAL_LOCKS["llm-vendors"]]),
        ("BACKUP_IDENTITY=", []),
        ("LLM_DIALECT=openai", []),
        ("PORT=1\nexport SECRETS_FROM='aws:site'", [AWS]),
        ("SECRETS_FROM = aws:a, b # comment", [AWS]),
        ("SECRETS_FROM=aws:a,,b", []),
        ("# SECRETS_FROM=aws:site", []),
    ],
)
def test_settings_select_locks(
    machine: Machine, installed_locks: list[str], monkeypatch: pytest.MonkeyPatch, lines: str, locks: list[str]
) -> None:
    (machine.project / ".env").write_text(f"{lines}\n")
    monkeypatch.setattr(locks_of_commands, "source_of", lambda _module: b"INSTALLED = (backup, llm_vendors)")
    assert virtual_environment.prepare(["migrate"])
    assert installed_locks == [BASE, *locks]


def test_command_runs_without_the_model(machine: Machine) -> None:
    code, output, errors = machine.run("quickstart", FAILING_TASK=MODEL)
    assert (code, output) == (0, "ran quickstart\n")
    assert [line for line in errors if not line.endswith("...")] == errors[-1:]
    assert "LLM_BASE_URL, LLM_API_KEY and LLM_MODEL" in errors[-1]
    assert machine.installed_locks() == [BASE, MODEL]
    assert "--only-binary :all:" in machine.calls.read_text().splitlines()[-1]  # compiling it would take long
    (machine.venv / "install.log").unlink()
    (machine.venv / "install.log").mkdir()
    code, output, (error,) = machine.run("quickstart")
    assert (code, output) == (0, "ran quickstart\n")
    assert error.startswith(f"Cannot install into {machine.venv}: Is a directory. Continuing without")


def test_failed_installation_is_repeated(machine: Machine) -> None:
    assert machine.run("--help")[0] == 0
    assert machine.installed_locks() == []
    code, output, errors = machine.run("migrate", FAILING_TASK=BASE)
    assert (code, output) == (1, "")
    assert errors[-1].startswith(f"Installing {BASE} failed: error: no response. Check the network connection.")
    assert machine.run("migrate")[0] == 0
    assert machine.run("test", "--help")[:2] == (0, "ran test --help\n")
    assert machine.installed_locks() == [BASE] * 2


def test_help_of_a_command_installs_nothing(machine: Machine) -> None:
    code, output, errors = machine.run("help", "test")
    assert (code, errors) == (0, [])
    assert output.startswith("Usage: oppman.py test [OPTIONS] [ARGS]...\n\nRun the tests")
    assert not machine.calls.exists()


@pytest.mark.parametrize("task", [".venv", BASE])
def test_killed_installation_is_repeated(machine: Machine, task: str) -> None:
    assert machine.run("migrate", KILLED_TASK=task)[0] == 1
    (machine.venv / "half a package").touch()
    code, output, errors = machine.run("migrate")
    assert (code, output) == (0, "ran migrate\n")
    assert "The last installation was interrupted, so .venv is created again." in errors
    assert not (machine.venv / "half a package").exists()
    assert not (machine.venv / "unfinished").exists()


def test_interrupted_installation_starts_again(machine: Machine) -> None:
    os.mkfifo(machine.started)
    started = os.open(machine.started, os.O_RDONLY | os.O_NONBLOCK)
    with machine.start("migrate", WAITING_TASK=BASE) as process:
        assert select.select([started], [], [], TIMEOUT_SECONDS)[0], "the replacement of uv has not started"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    os.close(started)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert (machine.venv / "unfinished").exists()
    assert machine.run("migrate")[0] == 0


def test_two_processes_install_once(machine: Machine) -> None:
    with machine.start("migrate") as migrate, machine.start("check") as check:
        assert (migrate.wait(), check.wait()) == (0, 0)
    assert machine.installed_locks() == [BASE]


def test_installation_waits_for_another_one(
    installed_locks: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts = iter([*[False] * 20, True])
    monkeypatch.setattr(virtual_environment, "try_lock", lambda _file: next(attempts))
    monkeypatch.setattr(virtual_environment, "LOCK_POLL_SECONDS", 0)
    assert virtual_environment.prepare(["migrate"])
    assert capsys.readouterr().err.startswith("Waiting for another oppman.py")


def test_environment_with_dependencies_is_used(machine: Machine) -> None:
    assert machine.run("migrate", python=[sys.executable]) == (0, "ran migrate\n", [])
    assert not machine.venv.exists()


@pytest.mark.parametrize("is_unfinished", [False, True])
def test_interrupted_venv_is_repaired(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_unfinished: bool) -> None:
    if is_unfinished:
        (tmp_path / UNFINISHED).touch()
    prepared: list[list[str]] = []
    monkeypatch.setattr(entry, "VENV", tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # with all packages, but without copies of the locks
    monkeypatch.setattr(entry, "prepare", prepared.append)
    entry.enter(["migrate"])
    assert prepared == ([["migrate"]] if is_unfinished else [])


PRINT_FOLDERS = """\
import sys
from opportune.project.current import project_folder
from opportune.project.layout import PROJECT
def main():
    print(PROJECT, project_folder(), sys.flags.isolated)
"""


@pytest.mark.parametrize("options", [[], ["-I"]], ids=["plain", "-I"])
def test_app_of_another_project_is_ignored(machine: Machine, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "other/app").mkdir(parents=True)
    (tmp_path / "other/app/__init__.py").write_text('raise RuntimeError("the app package of another project")\n')
    (machine.project / "opportune/cli/main.py").write_text(PRINT_FOLDERS)
    environ = {"PYTHONPATH": str(tmp_path / "other"), "CONDA_PREFIX": str(tmp_path / "conda")}
    code, output, _ = machine.run("migrate", python=[*BARE_PYTHON, *options], **environ)
    assert (code, output) == (0, f"{machine.project} {machine.project / 'app'} {int('-I' in options)}\n")


@pytest.fixture
def venv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Folder of an environment on a machine without uv."""
    monkeypatch.setattr(virtual_environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(virtual_environment, "PYTHON", tmp_path / ".venv/bin/python")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    return tmp_path / ".venv"


def test_missing_venv_and_uv_are_explained(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert importlib.util.find_spec("ensurepip") is None
    with pytest.raises(InstallError, match="apt install python3-venv"):
        virtual_environment.make_environment()
    assert not venv.exists()


def test_pip_checks_the_hashes(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(virtual_environment, "run_installer", lambda *arguments: commands.append(arguments[-1]))
    virtual_environment.install(BASE)
    assert commands[0][1:4] == ["-m", "pip", "install"]
    assert {"--no-deps", "--require-hashes"} < set(commands[0])
    assert (venv / BASE).is_file()


def test_old_python_is_refused() -> None:
    source = (PROJECT / "oppman.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    code = f"import sys; sys.version_info = (3, 8, 18); exec({source!r})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, "Opportune needs Python 3.11 or newer; this is 3.8.\n")


UNKNOWN = "oppman.py: Unknown command 'quickstrat'. Did you mean quickstart? See: python3 oppman.py --help"


def test_misspelt_command_installs_nothing(machine: Machine) -> None:
    assert machine.run("quickstrat", "--port", "1") == (2, "", [UNKNOWN])
    assert not machine.calls.exists()
    assert not machine.venv.exists()
    assert machine.run("books")[:2] == (0, "ran books\n"), "it may be of a feature"


def test_missing_test_file_installs_nothing(machine: Machine) -> None:
    message = f"{machine.project} has no tests/nope. Name a file or folder with tests."
    assert machine.run("test", "-x", "tests/nope::test_it") == (1, "", [message])
    assert not machine.venv.exists()
