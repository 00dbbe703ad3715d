"""Implementation of `call_command`: converts arguments, captures output and raises errors."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, redirect_stdout
from contextvars import copy_context
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, Any

from opportune.cli.main import load, run
from opportune.cli.process import forbid_exec
from opportune.cli.registry import MODULES, command_files
from opportune.config.settings import Settings, using_settings
from opportune.errors import CommandError
from opportune.runtime.suggestions import did_you_mean

if TYPE_CHECKING:
    from typer._click import Command, Parameter


def call(name: str, arguments: Sequence[object], settings: Settings | None, options: Mapping[str, Any]) -> str:
    words = [name, *map(str, arguments)]
    if options and (name in MODULES or name in command_files()):
        words += options_as_words(find_command(words), options)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run_captured(words, settings)
    # Commands start an event loop, and a thread cannot run two of them.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, run_captured, words, settings).result()


def find_command(words: Sequence[str]) -> "Command":
    """Return the command or subcommand that these words start with."""
    command = load(words[0])
    for word in words[1:]:
        command = getattr(command, "commands", {}).get(word, command)
    return command


def options_as_words(command: "Command", options: Mapping[str, Any]) -> Iterator[str]:
    names = {name: option for option in command.params for name in python_names(option)}
    for name, value in options.items():
        if name not in names:
            raise TypeError(f"{command.name} has no option {name!r}.{did_you_mean(name, names)}")
        yield from option_as_words(names[name], value)


def python_names(option: "Parameter") -> set[str]:
    """Return the Python names of an option: `dry_run` for --dry-run, and the name of its parameter."""
    if option.param_type_name != "option":
        return set()
    return {option.name or "", *(word.lstrip("-").replace("-", "_") for word in option.opts)}


def option_as_words(option: "Parameter", value: Any) -> Iterator[str]:
    if isinstance(value, bool) and getattr(option, "is_flag", False):
        yield from (option.opts if value else option.secondary_opts)[:1]
    elif value is not None:
        for item in value if isinstance(value, (list, tuple)) else [value]:
            yield from (option.opts[0], str(item))


def run_captured(words: list[str], settings: Settings | None) -> str:
    """Run a command in this thread and return its output.

    Raises:
        CommandError: the command failed. The error has its output.
    """
    output = BytesIO()
    stream = TextIOWrapper(output, encoding="utf-8", write_through=True)  # some commands write bytes
    with redirect_stdout(stream), forbid_exec(), using_settings(settings) if settings else nullcontext():
        code, line = run(words)
    text = output.getvalue().decode()
    if code:
        raise CommandError(line or f"{words[0]} failed with exit code {code}.", code, text)
    return text
