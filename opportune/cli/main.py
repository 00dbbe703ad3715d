"""The command line. Each command of `registry.py` is loaded from its file when it is called (`loading.py`)."""

import gc
import os
import platform
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup

from opportune import __version__
from opportune.cli import output, registry
from opportune.cli.completion import complete_after_python
from opportune.cli.error_reports import print_error, report_unexpected_error, usage_message
from opportune.cli.loading import find_missing_command, load
from opportune.cli.options import Command, common_options
from opportune.cli.process import signals_as_interrupts
from opportune.errors import OperatorError

Context: TypeAlias = Any
"""A context of Typer, which has no public name for the type."""

MAX_NEW_OBJECTS = 20_000
"""Number of new objects after which garbage is collected. Many commands import the project, which creates more."""
MAX_HELP_COLUMNS = 120
"""Maximum width of the help."""


class Commands(TyperGroup):
    """Group of all commands. Only the module of the called command is imported."""

    def list_commands(self, ctx: Context) -> list[str]:
        return [*registry.MODULES, *registry.feature_modules()]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        if cmd_name not in registry.MODULES:
            ctx.with_resource(output.show_work_progress())  # for `opportune.progress`
        command = load(cmd_name) if registry.command_module(cmd_name) else None
        _collect_garbage_again()
        return command

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        name = args[0]
        module = registry.command_module(name)
        if not ctx.resilient_parsing and not module:
            if message := find_missing_command(name):
                raise OperatorError(message)
            ctx.fail(registry.unknown_command(name, self.list_commands(ctx)))
        if module.startswith("opportune.") and name != "test" and (message := registry.empty_value(args)):
            raise typer.BadParameter(message)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Context, formatter: Any) -> None:
        formatter.write("\n".join(registry.overview()))

    def shell_complete(self, ctx: Context, incomplete: str) -> list[Any]:
        """Complete the name of a command without loading any."""
        modules = registry.MODULES.copy()
        with suppress(Exception):  # a mistake in a feature is reported by commands
            modules |= registry.feature_modules()
        commands = [TyperCommand(name, help=registry.help_line(module)) for name, module in modules.items()]
        return TyperGroup(commands=commands, params=self.params).shell_complete(ctx, incomplete)


def command_group() -> Command:
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": MAX_HELP_COLUMNS}
    app = typer.Typer(cls=Commands, context_settings=settings, rich_markup_mode=None)
    app.callback()(common_options)
    group = typer.main.get_command(app)  # unlike get_group, this adds the options that install completion
    complete_after_python(group)
    return group


def _collect_garbage_again() -> None:
    """Enable garbage collection after the imports of a command, except for the imported objects."""
    if not gc.isenabled():
        gc.freeze()
        gc.set_threshold(MAX_NEW_OBJECTS)
        gc.enable()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    if arguments is not None:
        return _run_and_report(list(arguments) or ["--help"])
    for name in [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]:  # `oppman.py <&-`
        setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))
    gc.disable()  # imports create no garbage, and searching for it delays each command
    with signals_as_interrupts():
        code = _run_and_report(sys.argv[1:] or ["--help"])
    try:
        sys.stdout.flush()
    except OSError:  # reported above
        code = registry.handle_output_error(BrokenPipeError())
    gc.freeze()  # Python would search all objects again at exit
    return code


def _run_and_report(arguments: list[str]) -> int:
    arguments = [*arguments[1:], "--help"] if arguments[0] == "help" else arguments  # as in Django
    try:
        code, message = (_print_version(), "") if arguments == ["--version"] else run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError as error:
        return registry.handle_output_error(error)
    except Exception as error:  # noqa: BLE001 - the last place that can report it
        return report_unexpected_error(error)
    return print_error(message, code) if message else code


def run(arguments: list[str]) -> tuple[int, str]:
    """Run a command and return its exit code and error message."""
    output.set_level()
    try:
        code = command_group().main(arguments, prog_name=registry.PROGRAM, standalone_mode=False)
    except OperatorError as error:
        return 1, error.with_advice
    except typer.TyperException as error:
        return error.exit_code, usage_message(error, arguments)
    except typer.Abort as error:
        return _abort_result(error)
    return (code if isinstance(code, int) else 0), ""


def _print_version() -> int:
    from importlib.metadata import version  # slow to import

    print(f"Opportune {__version__} (FastAPI {version('fastapi')}, Python {platform.python_version()})")
    return 0


def _abort_result(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the message of an aborted command. The message is empty for Ctrl-C."""
    if isinstance(error.__context__, KeyboardInterrupt):
        return 130, ""
    if isinstance(error.__context__, EOFError):
        return 2, registry.NO_ANSWER
    return 1, "Stopped."
