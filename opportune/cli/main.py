"""The command line. Each command of `registry.py` is loaded from its file when it is called.

`opportune/cli/<family>/<name>.py` defines `command`: a function with Typer annotations, or a `typer.Typer()` with
subcommands. The module docstring is the help of the command, and its first line is shown in the overview. The file can
import anything at the top, because it is imported only for this command. Optional `CONTEXT_SETTINGS` go to Typer. A
command fails with `OperatorError`, or sets another exit code with `raise typer.Exit(code)`. It prints with `output.py`.

Commands of features have the same form, and `Feature(commands=…)` lists their modules. If the function has a docstring,
it replaces the module's as the help.
"""

import errno
import gc
import os
import platform
import re
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_name

from opportune import __version__
from opportune.cli import output
from opportune.cli.completion import complete_after_python
from opportune.cli.conflict_markers import ADVICE, conflicting_files, first_marker
from opportune.cli.missing_commands import find_missing_command
from opportune.cli.registry import (
    MODULES,
    OPTIONS,
    PROGRAM,
    command_module,
    feature_modules,
    handle_broken_pipe,
    help_line,
    overview,
)
from opportune.cli.terminal import printable, styled
from opportune.cli.usage import no_such_option, unknown_command, wrong_usage
from opportune.errors import OperatorError
from opportune.errors.renamed_names import find_failed_import
from opportune.errors.suggestions import did_you_mean
from opportune.project.feature_packages import HAS_PROJECT
from opportune.project.layout import PROJECT, display_path, installed_features

Command: TypeAlias = Any
Context: TypeAlias = Any
# Typer has no public names for these types.

PERMISSION_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS)
MAX_NEW_OBJECTS = 20_000
"""Number of new objects after which garbage is collected. Many commands import the project, which creates more."""
MAX_HELP_COLUMNS = 120
"""Maximum width of the help."""


class Commands(TyperGroup):
    """Group of all commands. Only the module of the called command is imported."""

    def list_commands(self, ctx: Context) -> list[str]:
        return [*MODULES, *feature_modules()]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        if cmd_name not in MODULES:
            ctx.with_resource(output.show_work_progress())  # for `opportune.progress`
        command = load(cmd_name) if command_module(cmd_name) else None
        collect_garbage_again()
        return command

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        if not ctx.resilient_parsing and not command_module(args[0]):
            if message := find_missing_command(args[0]):
                raise OperatorError(message)
            ctx.fail(unknown_command(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Context, formatter: Any) -> None:
        formatter.write("\n".join(overview()))

    def shell_complete(self, ctx: Context, incomplete: str) -> list[Any]:
        """Complete the name of a command without loading any."""
        modules = MODULES.copy()
        with suppress(Exception):  # a mistake in a feature is reported by commands
            modules |= feature_modules()
        commands = [TyperCommand(name, help=help_line(module)) for name, module in modules.items()]
        return TyperGroup(commands=commands, params=self.params).shell_complete(ctx, incomplete)


def common_options(
    _quiet: Annotated[
        bool, typer.Option("-q", "--quiet", callback=output.be_quiet, expose_value=False, help=OPTIONS["-q, --quiet"])
    ] = False,
    _verbose: Annotated[
        bool,
        typer.Option("-v", "--verbose", callback=output.be_verbose, expose_value=False, help=OPTIONS["-v, --verbose"]),
    ] = False,
) -> None:
    """Options of every command."""


def unattended_options(
    _no_input: Annotated[
        bool, typer.Option("--no-input", "--yes", expose_value=False, help="Ask no questions; this command has none.")
    ] = False,
) -> None:
    """Options of commands that ask no questions, so that scripts may add them to every command."""


def load(name: str) -> Command:
    """Load a command from its module and add the common options.

    Raises:
        OperatorError: The module that a feature lists does not exist, or defines no valid command.
    """
    module = import_command(name, command_module(name))
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    settings = getattr(module, "CONTEXT_SETTINGS", None)
    help_text = cleandoc(module.__doc__ or "")
    if isinstance(module.command, typer.Typer):
        # Without this option, a missing subcommand prints the whole help instead of one line.
        app.add_typer(module.command, name=name, help=help_text, no_args_is_help=False)
        command = typer.main.get_group(app).commands[name]
    else:
        app.command(name, context_settings=settings, help=module.command.__doc__ or help_text)(module.command)
        command = typer.main.get_command(app)
    if not settings:  # other programs such as pytest define these options themselves
        add_common_options(command)
    return command


def import_command(name: str, module_name: str) -> ModuleType:
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):  # the module imports a package that is missing
            raise
        raise OperatorError(
            f"The command {name} is in {module_name}, which does not exist. Correct commands={{…}}."
        ) from None
    if not callable(command := getattr(module, "command", None)):
        raise OperatorError(f"{module_name} has no `command`. Define a function or a typer.Typer() of this name.")
    if isinstance(command, typer.Typer):
        names = Counter(
            info.name or get_command_name(info.callback.__name__)
            for info in command.registered_commands
            if info.callback
        )
        if repeated := next((subcommand for subcommand, count in names.items() if count > 1), ""):
            raise OperatorError(f"{module_name} defines the command {repeated} twice. Rename one.")
    return module


def add_common_options(command: Command) -> None:
    subcommands = getattr(command, "commands", {})
    for options in (common_options, *(() if subcommands else (unattended_options,))):
        app = typer.Typer(add_completion=False)
        app.command()(options)
        for option in typer.main.get_command(app).params:
            if not {name for param in command.params for name in param.opts} & set(option.opts):
                command.params.append(option)
    for subcommand in subcommands.values():
        add_common_options(subcommand)


def command_group() -> Command:
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": MAX_HELP_COLUMNS}
    app = typer.Typer(cls=Commands, context_settings=settings, rich_markup_mode=None)
    app.callback()(common_options)
    group = typer.main.get_command(app)  # unlike get_group, this adds the options that install completion
    complete_after_python(group)
    return group


def collect_garbage_again() -> None:
    """Enable garbage collection after the imports of a command, except for the imported objects."""
    if not gc.isenabled():
        gc.freeze()
        gc.set_threshold(MAX_NEW_OBJECTS)
        gc.enable()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    if arguments is not None:
        return run_and_report(list(arguments) or ["--help"])
    gc.disable()  # imports create no garbage, and searching for it takes a fifth of the time
    code = run_and_report(sys.argv[1:] or ["--help"])
    gc.freeze()  # Python would search all objects again at exit
    return code


def run_and_report(arguments: list[str]) -> int:
    if arguments[0] == "help":  # as in Django
        arguments = [*arguments[1:], "--help"]
    try:
        code, message = (print_version(), "") if arguments == ["--version"] else run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return handle_broken_pipe()
    except Exception as error:  # noqa: BLE001 - the last place that can report it
        return report_unexpected_error(error)
    return print_error(message, code) if message else code


def run(arguments: list[str]) -> tuple[int, str]:
    """Run a command and return its exit code and error message."""
    output.set_level()
    try:
        code = command_group().main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except OperatorError as error:
        return 1, error.with_advice
    except typer.TyperException as error:
        return error.exit_code, usage_message(error, arguments)
    except typer.Abort as error:
        return abort_result(error)
    return (code if isinstance(code, int) else 0), ""


def print_version() -> int:
    from importlib.metadata import version  # slow to import

    print(f"Opportune {__version__} (FastAPI {version('fastapi')}, Python {platform.python_version()})")
    return 0


def print_error(message: str, code: int) -> int:
    message = message if HAS_PROJECT else message.replace("python3 oppman.py", PROGRAM)
    print(styled(printable(" ".join(message.split())), "red", sys.stderr), file=sys.stderr)
    return code


def usage_message(error: typer.TyperException, arguments: Sequence[str]) -> str:
    ctx: Context = getattr(error, "ctx", None)
    # Typer sets no context if the value of an option is missing.
    names = [name for name in arguments[:1] if not name.startswith("-") and command_module(name)]
    path = ctx.command_path if ctx else " ".join([PROGRAM, *names])
    message = validation_message(error) or unknown_option_message(error)
    return wrong_usage(path, message or error.format_message().removeprefix("Invalid value: "))


def unknown_option_message(error: typer.TyperException) -> str:
    """Return the message about an unknown option, with a suggestion; empty for other errors."""
    option: str | None = getattr(error, "option_name", None)
    ctx: Context = getattr(error, "ctx", None)
    if not option or not ctx or not hasattr(error, "possibilities"):
        return ""
    params = ctx.command.get_params(ctx)
    return no_such_option(option, [name for param in params for name in [*param.opts, *param.secondary_opts]])


def validation_message(error: BaseException) -> str:
    """Return the message about a value that fails Pydantic's validation; empty for other errors."""
    from pydantic import ValidationError  # slow to import, only needed for errors

    if not (isinstance(error, typer.BadParameter) and error.param and isinstance(error.__cause__, ValidationError)):
        return ""
    details = error.__cause__.errors()[0]
    if details["type"] == "value_error":  # raised by Typer, with the value in the message
        return f"{error.param.opts[0]}: {with_choice_suggestion(details['msg'].removeprefix('Value error, '))}"
    reason = "is not a whole number" if details["type"] == "int_parsing" else details["msg"].removeprefix("Input ")
    return f"{error.param.opts[0]}: {details['input']} {reason}"


def with_choice_suggestion(message: str) -> str:
    """Add a suggestion to Typer's message `'x' is not one of 'a', 'b'.`."""
    value, *choices = re.findall(r"'([^']*)'", message) or [""]
    return f"{message}{did_you_mean(value, choices)}" if " is not one of " in message else message


def abort_result(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the message of an aborted command. The message is empty for Ctrl-C."""
    if isinstance(error.__context__, KeyboardInterrupt):
        return 130, ""
    if isinstance(error.__context__, EOFError):
        return 2, "There is no terminal for the question. Add --yes, or an option with the value (see --help)."
    return 1, "Stopped."


def report_unexpected_error(error: Exception) -> int:
    """Report an unexpected error in one line, with its traceback if -v or DEBUG is set."""
    report_to_features(error)
    if output.is_verbose() or os.environ.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}:
        traceback.print_exception(error)
        return 1
    if isinstance(error, SyntaxError) and error.filename and first_marker(Path(error.filename)):
        return print_error(f"Conflict markers in {', '.join(conflicting_files(PROJECT))}. {ADVICE}", 1)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return print_error(f"The disk of {error.filename or 'the output'} is full. Free some space and try again.", 1)
    if isinstance(error, OSError) and error.errno in PERMISSION_ERRORS and error.filename:
        return print_error(f"{error.filename}: {error.strerror}. Choose another path, or give this user access.", 1)
    first_line = next(iter(text.splitlines()), "")
    description = f"{type(error).__name__}: {first_line} ({error_location(error)})"
    new = find_failed_import(error) if isinstance(error, ImportError) else ""
    advice = f"It is now {new}. Run: python3 oppman.py upgrade" if new else "Add -v for the traceback."
    return print_error(f"Unexpected {description}. {advice}", 1)


def report_to_features(error: Exception) -> None:
    """Pass the error to `report_error` of each feature. If that fails, only the command reports its error."""
    from opportune.config.settings import get_settings  # only for unexpected errors

    with suppress(Exception):
        for feature in installed_features():
            if report := feature.monitoring.report_error:
                report(error, get_settings())


def error_location(error: Exception) -> str:
    """Return the innermost line of the project in the traceback, or the line of a syntax error."""
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((Path(error.filename), error.lineno))
    project = [(path, line) for path, line in frames if path.is_relative_to(PROJECT) and ".venv" not in path.parts]
    path, line = (project or frames)[-1]
    return f"{display_path(path) if project else path.name}:{line}"
