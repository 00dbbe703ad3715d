"""Implementation of `call_command`: converts arguments, captures output and raises errors."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, redirect_stdout
from contextvars import copy_context
from io import BytesIO, TextIOWrapper
from typing import Any

from typer.core import TyperOption

from opportune.cli.loading import load
from opportune.cli.main import run
from opportune.cli.options import Command
from opportune.cli.process import forbid_exec
from opportune.cli.registry import command_module
from opportune.config.settings import Settings, using_settings
from opportune.errors import CommandError
from opportune.errors.suggestions import did_you_mean


def call_command(name: str, *arguments: object, settings: Settings | None = None, **options: Any) -> str:
    """Run a command of `oppman.py` in this process.

    The call blocks. In an event loop write `await asyncio.to_thread(call_command, …)`.

    Args:
        name: Name of the command.
        arguments: Positional arguments.
        settings: Settings of the command. Default: those of the process.
        options: Options by their long name. An option with several values takes a list.

    Returns:
        The standard output of the process while the command ran.

    Raises:
        CommandError: The command failed, had another exit code than 0, or does not exist.
        TypeError: The command has no option of that name.

    Example:
        `call_command("migrate", "books", plan=True)`
    """
    command_line = [name, *map(str, arguments)]
    if options and command_module(name):
        command_line += _option_arguments(find_command(command_line), options)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run_captured(command_line, settings)
    # Commands start an event loop, and a thread cannot run two of them.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, _run_captured, command_line, settings).result()


def find_command(command_line: Sequence[str]) -> Command:
    """Return the command or subcommand at the start of a command line."""
    command = load(command_line[0])
    for word in command_line[1:]:
        command = getattr(command, "commands", {}).get(word, command)
    return command


def _option_arguments(command: Command, options: Mapping[str, Any]) -> Iterator[str]:
    names = {name: option for option in command.params for name in _python_names(option)}
    for name, value in options.items():
        if name not in names:
            raise TypeError(f"{command.name} has no option {name!r}.{did_you_mean(name, names)}")
        yield from _arguments_for_option(names[name], value)


def _python_names(option: TyperOption) -> set[str]:
    """Return the Python names of an option: `dry_run` for --dry-run, and its parameter's name. Arguments have none."""
    if option.param_type_name != "option":
        return set()
    return {option.name or "", *{name.lstrip("-").replace("-", "_") for name in option.opts}}


def _arguments_for_option(option: TyperOption, value: Any) -> Iterator[str]:
    if isinstance(value, bool) and getattr(option, "is_flag", False):
        yield from (option.opts if value else option.secondary_opts)[:1]
    elif value is not None:
        for item in value if isinstance(value, (list, tuple)) else [value]:
            yield from (option.opts[0], str(item))


def _run_captured(command_line: list[str], settings: Settings | None) -> str:
    """Run a command in this thread and return its output. A failure raises CommandError with the output."""
    output = BytesIO()
    # StringIO has no `buffer`, to which some commands write bytes.
    stream = TextIOWrapper(output, encoding="utf-8", write_through=True)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(stream))
        stack.enter_context(forbid_exec())
        if settings:
            stack.enter_context(using_settings(settings))
        code, message = run(command_line)
    text = output.getvalue().decode()
    if code:
        raise CommandError(message or f"{command_line[0]} failed with exit code {code}.", code, text)
    return text
