import errno
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import typer

from opportune import __version__
from opportune.cli import output, registry
from opportune.cli.main import load, main
from opportune.cli.registry import COMMANDS, MODULES
from opportune.config.project import PROJECT
from opportune.errors import OperatorError

OPPMAN = PROJECT / "oppman.py"
CONFLICT = "<<<<<<< HEAD\ny = 1\n=======\ny = 2\n>>>>>>> upgrade\n"
HEAVY = [
    "alembic",
    "fastapi",
    "importlib.metadata",
    "pydantic",
    "pydantic_settings",
    "rich",
    "sqlalchemy",
    "sqlmodel",
    "starlette",
    "uvicorn",
]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Puts something in the place of the command `check`."""

    def put(command: object) -> None:
        module = ModuleType("opportune.cli.development.check")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return put


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Another Python process, somewhere else."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)


@pytest.mark.parametrize("name", MODULES)
def test_yes_and_no_input_are_one_option(name: str) -> None:
    """Of a command and of its subcommands."""
    command = load(name)
    for each in (command, *getattr(command, "commands", {}).values()):
        for option in each.params:
            assert len({"--yes", "--no-input"}.intersection(option.opts)) != 1, f"{each.name} {option.name}"


def test_help_lists_every_command_in_its_group() -> None:
    result = run(str(OPPMAN), "--help")
    assert result.returncode == 0
    for group, commands in COMMANDS.items():
        section = result.stdout.split(f"\n{group}:\n")[1].split("\n\n")[0]
        assert [line.split(maxsplit=1)[0] for line in section.splitlines() if line.strip()] == list(commands)


@pytest.mark.parametrize("arguments", [["-h"], ["check", "-h"], ["jobs", "list", "-h"], ["help"], ["help", "jobs"]])
def test_h_is_short_for_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("Usage: oppman.py ")


def test_version_names_the_starters_release_and_what_it_runs_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    python = ".".join(map(str, sys.version_info[:3]))
    assert capsys.readouterr().out.startswith(f"Opportune {__version__} (FastAPI 0.")
    assert run(str(OPPMAN), "--version").stdout.endswith(f", Python {python})\n")


def test_no_arguments_ask_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "quickstart" in capsys.readouterr().out


def test_help_needs_nothing_that_is_installed_and_nothing_heavy() -> None:
    code = f"import runpy, sys; sys.argv[1:] = ['-h']; runpy.run_path({str(OPPMAN)!r})['main'](); print(*sys.modules)"
    result = run("-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(PROJECT)!r}); {code}")
    assert result.stdout.startswith("Usage: oppman.py")
    assert not {*HEAVY, "typer", "pathlib", "inspect", "subprocess"} & set(result.stdout.splitlines()[-1].split())


def test_help_is_folded_to_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "columns", lambda: 50)
    lines = list(registry.overview())
    assert max(map(len, lines)) <= 50
    assert "                        the site." in lines


@pytest.mark.parametrize("name", MODULES)
def test_every_command_of_the_table_is_there_and_explains_itself(name: str) -> None:
    command = load(name)
    assert command.name == name
    assert command.help


@pytest.mark.parametrize("name", ["demo", "deploy", "env", "jobs", "llm", "secrets", "users"])
def test_subcommand_help_fits(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([name, "--help"]) == 0
    parts = capsys.readouterr().out.split("Commands:\n")[1].splitlines()
    assert parts
    assert [part for part in parts if not re.search(r"^  [\w-]+ +\w.*[^.]\.$", part)] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["migrat"], "Unknown command 'migrat'. Did you mean migrate?"),
        (["xyzzy"], "Unknown command 'xyzzy'. See: python3 oppman.py --help"),
        (["--bogus"], "No such option: --bogus. See: "),
        (["jobs", "list", "--stat"], "No such option: --stat. Did you mean --state? See: "),
        (["jobs", "list", "--state", "waitin"], "Did you mean waiting? See: "),
        (["jobs", "lst"], "oppman.py jobs: No such command 'lst'. Did you mean 'list'? See: "),
        (["help", "migrat"], "Did you mean migrate?"),
        (["check", "--bogus"], "oppman.py check: No such option: --bogus. See: "),
        (["quickstart", "--email"], "requires an argument. See: python3 oppman.py quickstart --help"),
        (["jobs", "list", "--state", "x"], "oppman.py jobs list: --state: 'x' is not one of 'waiting', 'running', "),
        (["runserver", "--port", "80x"], "oppman.py runserver: --port: 80x is no whole number. See: "),
        (["runserver", "--port", "99999"], "--port: 99999 should be less than or equal to 65535. See: "),
        (["demo"], "oppman.py demo: Missing command."),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str],
    words: str,
    stand_in: Callable[[object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    stand_in(lambda: None)
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert not said.out
    assert words in said.err
    assert said.err.count("\n") == 1


def test_a_command_that_ends_well_is_exit_0(stand_in: Callable[[object], None]) -> None:
    stand_in(lambda: None)
    assert main(["check"]) == 0


def test_a_command_chooses_its_exit_code(stand_in: Callable[[object], None]) -> None:
    stand_in(raising(typer.Exit(3)))
    assert main(["check"]) == 3


def test_operator_error_is_one_line(stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(raising(OperatorError("The host is away.\nTry later.")))
    assert main(["check"]) == 1
    assert capsys.readouterr() == ("", "The host is away. Try later.\n")


def test_control_characters_are_hidden(stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(raising(OperatorError("'\x1b[2J\x9bü\udcff' is no file.")))
    assert main(["check"]) == 1
    assert capsys.readouterr().err == "'?[2J?ü?' is no file.\n"


def test_unexpected_error_names_its_line(
    stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(raising(ValueError("odd\nsecond line")))
    assert main(["check"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Unexpected ValueError: odd (tests/opportune/cli/test_main.py:")
    assert said.count("\n") == 1


def test_a_full_disk_is_no_bug(stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(raising(OSError(errno.ENOSPC, "No space left on device")))
    assert main(["check"]) == 1
    assert capsys.readouterr().err == "The disk of the output is full: make room, then run this again.\n"


def test_forbidden_file_is_no_bug(stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(raising(PermissionError(errno.EACCES, "Permission denied", "/srv/x.zip")))
    assert main(["check"]) == 1
    told = "/srv/x.zip: Permission denied. Choose another place, or let this user in there.\n"
    assert capsys.readouterr().err == told


def test_syntax_error_names_file_and_line(
    stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = PROJECT / "app/books/pages.py"
    stand_in(lambda: compile("x = 1\ndef (", file, "exec"))
    assert main(["check"]) == 1
    assert capsys.readouterr().err.startswith("Unexpected SyntaxError: invalid syntax (app/books/pages.py:2)")


def test_syntax_error_names_conflict_markers(
    stand_in: Callable[[object], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("opportune.cli.main.PROJECT", tmp_path)
    for name in ("app/books/pages.py", "opportune/ops/web.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f"x = 1\n{CONFLICT}")
    file = tmp_path / "app/books/pages.py"
    stand_in(lambda: compile(file.read_text(), file, "exec"))
    assert main(["check"]) == 1
    told = "Conflict markers in app/books/pages.py:2, opportune/ops/web.py:2: keep what is right there and delete"
    assert capsys.readouterr().err.startswith(told)


@pytest.mark.parametrize("name", ["opportune/cli/registry.py", "opportune/cli/main.py"])
def test_oppman_names_its_own_file_with_conflict_markers(tmp_path: Path, name: str) -> None:
    shutil.copy2(OPPMAN, tmp_path)
    shutil.copytree(PROJECT / "opportune/cli", tmp_path / "opportune/cli", ignore=shutil.ignore_patterns("*.pyc"))
    for path in (
        "opportune/__init__.py",
        "opportune/errors.py",
        "opportune/config/__init__.py",
        "opportune/config/project.py",
        "opportune/runtime/lazy_exports.py",
        "opportune/runtime/suggestions.py",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy2(PROJECT / path, tmp_path / path)
    (tmp_path / "app").mkdir()
    with (tmp_path / name).open("a") as file:
        file.write(CONFLICT)
    result = run(str(tmp_path / "oppman.py"), "check")
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert f"Conflict markers in {tmp_path}/{name}: keep what is right there" in result.stderr


def test_verbose_shows_the_traceback(stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(raising(ValueError("odd")))
    for arguments in (["-v", "check"], ["check", "--verbose"]):
        assert main(arguments) == 1
        assert capsys.readouterr().err.startswith("Traceback")


@pytest.mark.parametrize(
    ("arguments", "out", "err"),
    [
        (["check"], "asked for\ndone\n", "odd\n"),
        (["-q", "check"], "asked for\n", "odd\n"),
        (["check", "--quiet"], "asked for\n", "odd\n"),
        (["check", "-v"], "asked for\ndone\n", "odd\nhow\n"),
    ],
)
def test_quiet_and_verbose_are_options_of_every_command(
    arguments: list[str], out: str, err: str, stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        typer.echo("asked for")
        output.say("done")
        output.warn("odd")
        output.detail("how")

    stand_in(command)
    assert main(arguments) == 0
    assert capsys.readouterr() == (out, err)


def test_debug_shows_the_traceback_of_an_unexpected_error(
    stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBUG", "true")
    stand_in(raising(ValueError("odd")))
    assert main(["check"]) == 1
    assert capsys.readouterr().err.startswith("Traceback")


def test_ctrl_c_is_quiet_and_exit_130(stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(raising(KeyboardInterrupt()))
    assert main(["check"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_question_that_nobody_answers_is_one_line_and_exit_2(
    stand_in: Callable[[object], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    stand_in(lambda: typer.prompt("Your name"))
    assert main(["check"]) == 2
    assert "Nobody answered" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_traceback() -> None:
    left, written = os.pipe()
    os.close(left)
    command = [sys.executable, str(OPPMAN), "--help"]
    result = subprocess.run(command, stdout=written, stderr=subprocess.PIPE, check=False)
    os.close(written)
    assert (result.returncode, result.stderr) == (1, b"")
