"""The command line `oppman.py`: help, invalid arguments, errors and output levels."""

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import typer

from opportune import __version__
from opportune.cli import output
from opportune.cli.loading import load
from opportune.cli.registry import COMMANDS, MODULES
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT
from tests.opportune.cli.command_server import RunCommand
from tests.opportune.cli.conftest import Oppman

HELP = [sys.executable, str(PROJECT / "oppman.py"), "--help"]
SYNTAX_ERROR = SyntaxError("invalid syntax", (str(PROJECT / "app/books/pages.py"), 2, 5, "def ("))
ReplaceCheck = Callable[[object], None]


@pytest.fixture
def replace_check(monkeypatch: pytest.MonkeyPatch) -> ReplaceCheck:
    """Replace the command `check`."""

    def replace_command(command: object) -> None:
        module = ModuleType("opportune.cli.development.check")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return replace_command


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize("name", MODULES)
def test_every_command_has_a_help_and_common_options(name: str) -> None:
    command = load(name)
    assert command.name == name
    assert command.help
    for subcommand in (command, *getattr(command, "commands", {}).values()):
        for option in subcommand.params:  # --yes and --no-input are one option
            assert len({"--yes", "--no-input"}.intersection(option.opts)) != 1, f"{subcommand.name} {option.name}"


def test_help_lists_every_command_in_its_group() -> None:
    result = subprocess.run(HELP, capture_output=True, text=True, cwd="/", check=False)
    assert result.returncode == 0
    for group, commands in COMMANDS.items():
        section = result.stdout.split(f"\n{group}:\n")[1].split("\n\n")[0]
        assert [line.split(maxsplit=1)[0] for line in section.splitlines() if line.strip()] == list(commands)


@pytest.mark.parametrize("arguments", [[], ["jobs", "list", "-h"], ["help", "jobs"]])
def test_help_is_printed(oppman: Oppman, arguments: list[str]) -> None:
    code, out, error = oppman(*arguments)
    assert (code, out.startswith("Usage: oppman.py "), error) == (0, True, "")


def test_version_names_opportune_fastapi_and_python(oppman: Oppman) -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    version = oppman("--version").out
    assert version.startswith(f"Opportune {__version__} (FastAPI 0.")
    assert version.endswith(f", Python {python})\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["migrat"], "Unknown command 'migrat'. Did you mean migrate?"),
        (["collectstatic"], "collectstatic is a command of Django. Omit it: the site serves static/ as it is."),
        (["jobs", "list", "--stat"], "No such option: --stat. Did you mean --state? See: "),
        (["jobs", "lst"], "oppman.py jobs: No such command 'lst'. Did you mean 'list'? See: "),
        (["check", "--bogus"], "oppman.py check: No such option: --bogus. See: "),
        (["jobs", "list", "--state", "x"], "oppman.py jobs list: --state: 'x' is not one of 'held', 'waiting', "),
        (["runserver", "--port", "80x"], "oppman.py runserver: --port: 80x is not a whole number. See: "),
        (["demo"], "oppman.py demo: Missing command."),
    ],
)
def test_wrong_usage_is_reported_in_one_line_and_exit_2(oppman: Oppman, arguments: list[str], message: str) -> None:
    assert message in oppman(*arguments).line(2)


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        (raising(KeyboardInterrupt()), 130, ""),
        (raising(OperatorError("The host is down.\nTry later.")), 1, "The host is down. Try later.\n"),
        (raising(OperatorError("'\x1b[2J\x9bü\udcff' is no file.")), 1, "'?[2J?ü?' is no file.\n"),
    ],
    ids=["Ctrl-C", "error for the operator", "control characters"],
)
def test_exit_code_and_error(
    oppman: Oppman, replace_check: ReplaceCheck, command: Callable[[], None], code: int, error: str
) -> None:
    replace_check(command)
    assert oppman("check") == (code, "", error)


@pytest.mark.parametrize(
    ("arguments", "place"), [(("startapp", "notes", "--group="), "--group="), (("jobs", "pause", " "), "pause")]
)
def test_empty_value_is_refused(oppman: Oppman, arguments: tuple[str, ...], place: str) -> None:
    assert f"The value after {place} is empty. Enter one, or omit it." in oppman(*arguments).line(2)


def test_error_of_the_framework_is_unexpected(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.cli.development.check.get_settings", lambda _wrong: None)
    assert oppman("check").line().startswith("Unexpected TypeError: ")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("odd\nsecond line"), "tests/opportune/cli/test_main.py:"),
        (OSError(errno.EFBIG, "File too large"), "File too large: the output. Free some space, or raise"),
        (OSError(errno.EMFILE, "Too many open files", "/srv/x"), "Too many open files. Close some, or raise"),
        (PermissionError(errno.EACCES, "Denied", "/srv/x.zip.opportune.tmp"), "/srv/x.zip: Denied. Choose or restore"),
        (SYNTAX_ERROR, "app/books/pages.py:2: SyntaxError: invalid syntax. Correct the code"),
    ],
)
def test_crash_is_explained(oppman: Oppman, replace_check: ReplaceCheck, error: Exception, message: str) -> None:
    replace_check(raising(error))
    assert oppman("check").line().startswith(message)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("reverse", "web'. See: python3 oppman.py docs imports"), ("rediret", " Did you mean redirect? See: ")],
)
def test_missing_import_is_explained(oppman: Oppman, replace_check: ReplaceCheck, name: str, advice: str) -> None:
    replace_check(raising(ImportError(f"cannot import name {name!r} from 'opportune.web' (/site/web.py)")))
    assert advice in oppman("check").line()


@pytest.mark.parametrize(("arguments", "environ"), [(["check", "--verbose"], {}), (["check"], {"DEBUG": "true"})])
def test_traceback_is_shown_on_request(
    oppman: Oppman, replace_check: ReplaceCheck, arguments: list[str], environ: dict[str, str]
) -> None:
    replace_check(raising(ValueError("odd")))
    code, _, error = oppman(*arguments, **environ)
    assert (code, error.startswith("Traceback")) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "out", "err"),
    [
        (["check"], "result\ndone\n", "odd\n"),
        (["-q", "check"], "result\n", "odd\n"),
        (["check", "--yes"], "result\ndone\n", "odd\n"),
    ],
)
def test_common_options(oppman: Oppman, replace_check: ReplaceCheck, arguments: list[str], out: str, err: str) -> None:
    def command() -> None:
        typer.echo("result")
        output.say("done")
        output.warn("odd")

    replace_check(command)
    assert oppman(*arguments) == (0, out, err)


def test_no_terminal_is_exit_2(oppman: Oppman, replace_check: ReplaceCheck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    replace_check(lambda: typer.prompt("Your name"))
    code, _, error = oppman("check")
    assert (code, "The question has no answer. Use a terminal, --yes" in error) == (2, True)


def test_sigterm_cleans_up_as_ctrl_c_does(run: RunCommand) -> None:
    stop = "import signal; from opportune.cli import main; main.run = lambda _: signal.raise_signal(signal.SIGTERM)"
    assert run("-c", f"{stop}; print(main.main())") == (0, "130\n")


def test_closed_output_is_replaced(run: RunCommand) -> None:
    close = "import sys; out = sys.stdout; sys.stdout = None"
    call = "from opportune.cli import main; main.run = lambda _: (0, ''); code = main.main()"
    assert run("-c", f"{close}; {call}; print(code, file=out, flush=True)") == (0, "0\n")


def test_broken_pipe_prints_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(HELP, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_full_disk_prints_one_line(option: str) -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run([*HELP[:-1], option], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
