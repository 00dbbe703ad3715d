"""The command line: one table of commands, each loaded from its own file when it is called.

The file `opportune/cli/<name>.py` defines `command`: a function with Typer's annotations, or a `typer.Typer()` with
subcommands. It may import what it likes at its top, since nobody else imports it. `CONTEXT_SETTINGS` in the same file
are handed to Typer as they are. A command that cannot go on raises `OperatorError`; `raise typer.Exit(code)` ends it
with another code.

A feature has a command of its own name in its `commands.py`, of the same shape; its help is the first line of that
file's docstring.
"""

import ast
import errno
import os
import platform
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Never

import typer
from typer.core import TyperGroup

from opportune import __version__
from opportune.errors import OperatorError
from opportune.project import PACKAGE, PROJECT, display_path, import_without_gc

if TYPE_CHECKING:  # Typer carries its own click and gives it no public name: nothing of it is wanted at run time
    from typer._click import Command, Context, HelpFormatter

PROGRAM = "oppman.py"
COMMANDS = {
    "Start": {
        "quickstart": "Set up everything and run the site.",
        "runserver": "Run the site; in development it reloads itself.",
        "test": "Run the tests; arguments and options are pytest's.",
    },
    "Database": {
        "migrate": "Apply migrations, or go back to one.",
        "makemigrations": "Write the migrations that the models ask for.",
        "showmigrations": "List the migrations and mark the applied ones.",
        "sqlmigrate": "Show the SQL of one migration.",
        "backup": "Put database and uploads into one file.",
        "restore": "Bring database and uploads back from a backup.",
        "copydb": "Copy everything into another database.",
        "dumpdata": "Write rows as JSON.",
        "loaddata": "Add rows from JSON files.",
        "demo": "Load or clear the demonstration data.",
        "dbshell": "Open the database's own client.",
        "doctor": "Examine the database and say what is wrong with it.",
    },
    "Jobs": {
        "worker": "Do the jobs that the site queues.",
        "jobs": "List, show, retry or cancel jobs.",
    },
    "Accounts": {
        "createsuperuser": "Create somebody who may use the admin.",
        "changepassword": "Set somebody's password.",
        "clearsessions": "Throw out sessions and tokens that are over.",
        "users": "List users, and change what they may do.",
    },
    "Development": {
        "startapp": "Create a feature of your own.",
        "removeapp": "Delete a feature with everything that is its own.",
        "shell": "Open an async Python shell with the models at hand.",
        "routes": "List the addresses of the site.",
        "check": "Look for mistakes in settings and database.",
        "sendtestemail": "Send an e-mail to see whether mail arrives.",
    },
    "Tools": {
        "lock": "Make the requirements locks again.",
    },
}
HELPS = {name: line for group in COMMANDS.values() for name, line in group.items()}
FEATURES = PROJECT / PACKAGE


def feature_commands() -> dict[str, str]:
    """The features with commands and a line on each, read from the text: to list a feature must not import it."""
    files = sorted(FEATURES.glob("*/commands.py"))
    return {file.parent.name: _first_line(file) for file in files if file.parent.name not in HELPS}


def _first_line(file: Path) -> str:
    try:
        doc = ast.get_docstring(ast.parse(file.read_bytes()))
    except (SyntaxError, ValueError):  # whoever calls it hears of that
        doc = None
    return (doc or "").partition("\n")[0]


class Commands(TyperGroup):
    """Typer's group over the table above: its help loads no command, and a call loads one."""

    def list_commands(self, ctx: "Context") -> list[str]:
        return [*HELPS, *feature_commands()]

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":
        return load(cmd_name) if cmd_name in self.list_commands(ctx) else None

    def resolve_command(self, ctx: "Context", args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        if args[0] not in (names := self.list_commands(ctx)):
            fail_unknown(ctx, args[0], names)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        features = feature_commands()
        width = max(map(len, [*HELPS, *features]))
        for group, commands in {**COMMANDS, **({"Features": features} if features else {})}.items():
            with formatter.section(group):
                formatter.write_dl([(name.ljust(width), line) for name, line in commands.items()])


def load(name: str) -> "Command":
    """The command of that name, from its file."""
    file, words = f"opportune.cli.{name}", HELPS.get(name)
    if words is None:
        file, words = f"{PACKAGE}.{name}.commands", feature_commands()[name]
    module = import_without_gc(file)
    holder = typer.Typer(rich_markup_mode=None, add_completion=False)
    if isinstance(module.command, typer.Typer):
        # A missing subcommand is wrong usage, which is one line.
        holder.add_typer(module.command, name=name, help=words, no_args_is_help=False)
        return typer.main.get_group(holder).commands[name]
    holder.command(
        name,
        context_settings=getattr(module, "CONTEXT_SETTINGS", None),
        help=None if module.command.__doc__ else words,
    )(module.command)
    return typer.main.get_command(holder)


def fail_unknown(ctx: "Context", name: str, names: Sequence[str]) -> Never:
    near = get_close_matches(name, names, n=1)
    ctx.fail(f"Unknown command {name!r}." + (f" Did you mean {near[0]}?" if near else ""))


def command_group() -> Commands:
    return Commands(
        name=PROGRAM,
        help="Run and look after your site; --version tells which release of the starter it stands on.",
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    group = command_group()
    try:
        code = (
            tell_version()
            if arguments == ["--version"]
            else group.main(arguments or ["--help"], prog_name=PROGRAM, standalone_mode=False)
        )
        sys.stdout.flush()
    except OperatorError as error:
        return print_error(str(error), 1)
    except typer.TyperException as error:
        return print_error(usage(error, arguments), error.exit_code)
    except (typer.Abort, KeyboardInterrupt) as error:
        return interrupted(error)
    except BrokenPipeError:
        return reader_left()
    except Exception as error:  # noqa: BLE001 - the edge of the process: nothing above this could report it
        return unexpected(error)
    return code if isinstance(code, int) else 0


def tell_version() -> int:
    from importlib.metadata import version  # noqa: PLC0415 - a tenth of what --help takes

    print(f"Opportune {__version__} (FastAPI {version('fastapi')}, Python {platform.python_version()})")
    return 0


def print_error(message: str, code: int) -> int:
    line = " ".join(message.split())
    # Names of files and words of servers may hold what a terminal obeys.
    print("".join(mark if mark.isprintable() else "?" for mark in line), file=sys.stderr)
    return code


def usage(error: typer.TyperException, arguments: Sequence[str]) -> str:
    ctx: Context | None = getattr(error, "ctx", None)
    # Typer does not say where it was when an option lacked its value.
    named = [word for word in arguments[:1] if word in HELPS or word in feature_commands()]
    path = ctx.command_path if ctx else " ".join([PROGRAM, *named])
    message = refusal(error) or error.format_message()
    return f"{path}: {message if message.endswith(('.', '?')) else f'{message}.'} See: python3 {path} --help"


def refusal(error: BaseException) -> str:
    """Which value is wrong with which option, where Typer's words are Pydantic's; else nothing."""
    from pydantic import ValidationError  # noqa: PLC0415 - takes long, and most calls are right

    if not (isinstance(error, typer.BadParameter) and error.param and isinstance(error.__cause__, ValidationError)):
        return ""
    fault = error.__cause__.errors()[0]
    if fault["type"] == "value_error":  # one of Typer's own, which names the value
        return f"{error.param.opts[0]}: {fault['msg'].removeprefix('Value error, ')}"
    reason = "is no whole number" if fault["type"] == "int_parsing" else fault["msg"].removeprefix("Input ")
    return f"{error.param.opts[0]}: {fault['input']} {reason}"


def interrupted(error: BaseException) -> int:
    """Ctrl-C is quiet; a question without anybody to answer it is not."""
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
        return 130
    code, reason = reason_of_abort(error)
    return print_error(reason, code)


def reason_of_abort(error: BaseException) -> tuple[int, str]:
    if isinstance(error.__context__, EOFError):
        return 2, "Nobody answered: give the answer as an option (see --help)."
    return 1, "Stopped."


def reader_left() -> int:
    """Nobody reads the rest (`| head`): also keep Python from complaining when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def unexpected(error: Exception) -> int:
    """A full disk, or a bug. Its name and place are enough for most; DEBUG=true shows the rest."""
    if os.environ.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}:
        traceback.print_exception(error)
        return 1
    words = error.msg if isinstance(error, SyntaxError) else str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return print_error(f"The disk of {error.filename or 'the output'} is full: make room, then run this again.", 1)
    first_line = next(iter(words.splitlines()), "")
    where = f"{type(error).__name__}: {first_line} ({error_location(error)})"
    return print_error(f"Unexpected {where}. For its traceback, in the environment: DEBUG=true python3 {PROGRAM} …", 1)


def error_location(error: Exception) -> str:
    """The innermost line of this project that the error went through, or that Python cannot read."""
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((Path(error.filename), error.lineno))
    own = [(path, line) for path, line in frames if path.is_relative_to(PROJECT) and ".venv" not in path.parts]
    path, line = (own or frames)[-1]
    return f"{path.name if path not in dict(own) else display_path(path)}:{line}"
