"""The command line: each command of `registry.py`, loaded from its own file when it is called.

`opportune/cli/<family>/<name>.py` defines `command`: a function with Typer's annotations, or a `typer.Typer()` with
subcommands. The file's docstring is the command's help, and its first line is the line of the overview. The file may
import what it needs at its top, since no other module imports it. `CONTEXT_SETTINGS` in the same file are handed to
Typer as they are. A command that cannot go on raises `OperatorError`; `raise typer.Exit(code)` ends it with another
code. Output goes through `output.py`.

A feature has a command of its own name in its `commands.py`, of the same shape. A docstring of the function, where
there is one, is its help instead of the file's.
"""

import errno
import os
import platform
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from opportune import __version__
from opportune.cli import output
from opportune.cli.completion_adapter import complete_after_python
from opportune.cli.conflict_markers import ADVICE, conflicting_files, first_marker
from opportune.cli.feature_commands import repeated_commands
from opportune.cli.registry import (
    MODULES,
    OPTIONS,
    PROGRAM,
    command_files,
    help_line,
    overview,
    reader_left,
)
from opportune.cli.terminal import printable, styled
from opportune.cli.usage import no_such_option, unknown_command, wrong_usage
from opportune.config.project import PACKAGE, PROJECT, display_path, env_file_value
from opportune.errors import OperatorError
from opportune.runtime.suggestions import did_you_mean

if TYPE_CHECKING:  # Typer carries its own click and gives it no public name: nothing of it is wanted at run time
    from typer._click import Command, Context, HelpFormatter
    from typer._click.shell_completion import CompletionItem

NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
MAX_HELP_COLUMNS = 120
"""The width of help on a terminal that has more."""


class Commands(TyperGroup):
    """Typer's group over the table of commands: its help loads no command, and a call loads one."""

    def list_commands(self, ctx: "Context") -> list[str]:
        return [*MODULES, *command_files()]

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":
        if cmd_name not in MODULES and cmd_name in command_files():
            ctx.with_resource(output.work_shown())  # a feature says how far it is by `opportune.runtime.progress`
        return load(cmd_name) if cmd_name in self.list_commands(ctx) else None

    def resolve_command(self, ctx: "Context", args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        if (message := unknown_command(args[0], self.list_commands(ctx))) and not ctx.resilient_parsing:
            ctx.fail(message)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        formatter.write("\n".join(overview()))

    def shell_complete(self, ctx: "Context", incomplete: str) -> "list[CompletionItem]":
        """Complete a command's name without loading all of them for their help."""
        helps = dict.fromkeys(command_files(), "") | {name: help_line(name) for name in MODULES}
        stand_ins = [TyperCommand(name, help=line) for name, line in helps.items()]
        return TyperGroup(commands=stand_ins, params=self.params).shell_complete(ctx, incomplete)


def common_options(
    _quiet: Annotated[
        bool, typer.Option("-q", "--quiet", callback=output.be_quiet, expose_value=False, help=OPTIONS["-q, --quiet"])
    ] = False,
    _verbose: Annotated[
        bool,
        typer.Option("-v", "--verbose", callback=output.be_verbose, expose_value=False, help=OPTIONS["-v, --verbose"]),
    ] = False,
) -> None:
    """The options of every command."""


def load(name: str) -> "Command":
    """The command of that name, from its file, with the options of every command."""
    if name not in MODULES and (fault := next(repeated_commands(command_files()[name]), "")):
        raise OperatorError(f"{display_path(Path(command_files()[name]))}: {fault}")
    module = import_module(MODULES.get(name) or f"{PACKAGE}.{name}.commands")
    holder = typer.Typer(rich_markup_mode=None, add_completion=False)
    settings = getattr(module, "CONTEXT_SETTINGS", None)
    help_ = cleandoc(module.__doc__ or "")
    if isinstance(module.command, typer.Typer):
        # A missing subcommand is wrong usage, which is one line.
        holder.add_typer(module.command, name=name, help=help_, no_args_is_help=False)
        command = typer.main.get_group(holder).commands[name]
    else:
        holder.command(name, context_settings=settings, help=module.command.__doc__ or help_)(module.command)
        command = typer.main.get_command(holder)
    if not settings:  # those of another program's, such as pytest, are its own
        add_common_options(command)
    return command


def add_common_options(command: "Command") -> None:
    holder = typer.Typer(add_completion=False)
    holder.command()(common_options)
    for option in typer.main.get_command(holder).params:
        if not {word for param in command.params for word in param.opts} & set(option.opts):
            command.params.append(option)
    for subcommand in getattr(command, "commands", {}).values():
        add_common_options(subcommand)


def command_group() -> "Command":
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": MAX_HELP_COLUMNS}
    app = typer.Typer(cls=Commands, context_settings=settings, rich_markup_mode=None)
    app.callback()(common_options)
    complete_after_python()
    return typer.main.get_command(app)  # with the options that install completion, which get_group leaves out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if arguments[0] == "help":  # as in Django
        arguments = [*arguments[1:], "--help"]
    try:
        code, line = (tell_version(), "") if arguments == ["--version"] else run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return reader_left()
    except Exception as error:  # noqa: BLE001 - the edge of the process: nothing above this could report it
        return unexpected(error)
    return print_error(line, code) if line else code


def run(words: list[str]) -> tuple[int, str]:
    """Run one command. Return its exit code, and the line about its failure."""
    output.begin()
    try:
        code = command_group().main(words, prog_name=PROGRAM, standalone_mode=False)
    except OperatorError as error:
        return 1, error.with_advice
    except typer.TyperException as error:
        return error.exit_code, usage(error, words)
    except typer.Abort as error:
        return reason_of_abort(error)
    return (code if isinstance(code, int) else 0), ""


def tell_version() -> int:
    from importlib.metadata import version  # noqa: PLC0415 - a tenth of what --help takes

    print(f"Opportune {__version__} (FastAPI {version('fastapi')}, Python {platform.python_version()})")
    return 0


def print_error(message: str, code: int) -> int:
    print(styled(printable(" ".join(message.split())), "red", sys.stderr), file=sys.stderr)
    return code


def usage(error: typer.TyperException, arguments: Sequence[str]) -> str:
    ctx: Context | None = getattr(error, "ctx", None)
    # Typer does not say where it was when an option lacked its value.
    named = [word for word in arguments[:1] if word in MODULES or word in command_files()]
    path = ctx.command_path if ctx else " ".join([PROGRAM, *named])
    message = refusal(error) or unknown_option(error) or error.format_message().removeprefix("Invalid value: ")
    return wrong_usage(path, message)


def unknown_option(error: typer.TyperException) -> str:
    """Return the message about an unknown option, with the option that was meant; empty for other errors."""
    word: str | None = getattr(error, "option_name", None)
    ctx: Context | None = getattr(error, "ctx", None)
    if not word or not ctx or not hasattr(error, "possibilities"):
        return ""
    params = ctx.command.get_params(ctx)
    return no_such_option(word, [option for param in params for option in [*param.opts, *param.secondary_opts]])


def refusal(error: BaseException) -> str:
    """Return the message about a value that Pydantic refuses; empty for other errors."""
    from pydantic import ValidationError  # noqa: PLC0415 - takes long, and most calls are right

    if not (isinstance(error, typer.BadParameter) and error.param and isinstance(error.__cause__, ValidationError)):
        return ""
    fault = error.__cause__.errors()[0]
    if fault["type"] == "value_error":  # one of Typer's own, which names the value
        return f"{error.param.opts[0]}: {with_near_choice(fault['msg'].removeprefix('Value error, '))}"
    reason = "is no whole number" if fault["type"] == "int_parsing" else fault["msg"].removeprefix("Input ")
    return f"{error.param.opts[0]}: {fault['input']} {reason}"


def with_near_choice(message: str) -> str:
    """Typer's `'x' is not one of 'a', 'b'.`, and which of them was meant."""
    value, *choices = re.findall(r"'([^']*)'", message) or [""]
    return f"{message}{did_you_mean(value, choices)}" if " is not one of " in message else message


def reason_of_abort(error: BaseException) -> tuple[int, str]:
    """Ctrl-C is quiet; a question that nobody can answer is not."""
    if isinstance(error.__context__, KeyboardInterrupt):
        return 130, ""
    if isinstance(error.__context__, EOFError):
        return 2, "Nobody answered: give the answer as an option (see --help)."
    return 1, "Stopped."


def unexpected(error: Exception) -> int:
    """A full disk, another's file, or a bug. Its name and place are enough for most; DEBUG=true shows the rest."""
    report(error)
    if output.is_verbose() or os.environ.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}:
        traceback.print_exception(error)
        return 1
    if isinstance(error, SyntaxError) and error.filename and first_marker(Path(error.filename)):
        return print_error(f"Conflict markers in {', '.join(conflicting_files(PROJECT))}: {ADVICE}", 1)
    words = error.msg if isinstance(error, SyntaxError) else str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return print_error(f"The disk of {error.filename or 'the output'} is full: make room, then run this again.", 1)
    if isinstance(error, OSError) and error.errno in NOT_ALLOWED and error.filename:
        return print_error(f"{error.filename}: {error.strerror}. Choose another place, or let this user in there.", 1)
    first_line = next(iter(words.splitlines()), "")
    where = f"{type(error).__name__}: {first_line} ({error_location(error)})"
    return print_error(f"Unexpected {where}. For its traceback: python3 {PROGRAM} -v …", 1)


def report(error: Exception) -> None:
    """Tell Sentry, where SENTRY_DSN is set: nobody may be looking at what a cron prints."""
    if not (os.environ.get("SENTRY_DSN") or env_file_value("SENTRY_DSN").strip()):
        return
    from opportune.config.settings import get_settings  # noqa: PLC0415 - for sites that have it
    from opportune.ops.telemetry.sentry import report_command  # noqa: PLC0415 - as above

    with suppress(OperatorError):
        report_command(error, get_settings())


def error_location(error: Exception) -> str:
    """The innermost line of this project that the error went through, or that Python cannot read."""
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((Path(error.filename), error.lineno))
    own = [(path, line) for path, line in frames if path.is_relative_to(PROJECT) and ".venv" not in path.parts]
    path, line = (own or frames)[-1]
    return f"{path.name if path not in dict(own) else display_path(path)}:{line}"
