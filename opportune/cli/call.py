"""Commands called from code: their words made of Python's arguments, their output returned, their end an exception."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, redirect_stdout
from contextvars import copy_context
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, Any

from opportune.cli.main import load, run
from opportune.cli.process import keeping_the_process
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
        return carry_out(words, settings)
    # A command has a loop of its own, and a thread cannot run two of them.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, carry_out, words, settings).result()


def find_command(words: Sequence[str]) -> "Command":
    """The command that these words begin with; where it has subcommands, the one that is meant."""
    command = load(words[0])
    for word in words[1:]:
        command = getattr(command, "commands", {}).get(word, command)
    return command


def options_as_words(command: "Command", options: Mapping[str, Any]) -> Iterator[str]:
    known = {name: option for option in command.params for name in python_names(option)}
    for name, value in options.items():
        if name not in known:
            raise TypeError(f"{command.name} has no option {name!r}.{did_you_mean(name, known)}")
        yield from option_as_words(known[name], value)


def python_names(option: "Parameter") -> set[str]:
    """`dry_run` for --dry-run, and the name that the command itself has for it."""
    if option.param_type_name != "option":
        return set()
    return {option.name or "", *(word.lstrip("-").replace("-", "_") for word in option.opts)}


def option_as_words(option: "Parameter", value: Any) -> Iterator[str]:
    if isinstance(value, bool) and getattr(option, "is_flag", False):
        yield from (option.opts if value else option.secondary_opts)[:1]
    elif value is not None:
        for each in value if isinstance(value, (list, tuple)) else [value]:
            yield from (option.opts[0], str(each))


def carry_out(words: list[str], settings: Settings | None) -> str:
    """Run it in this thread.

    Raises:
        CommandError: it did not end well; the error has what it printed before.
    """
    printed = BytesIO()
    stream = TextIOWrapper(printed, encoding="utf-8", write_through=True)  # some write bytes
    with redirect_stdout(stream), keeping_the_process(), using_settings(settings) if settings else nullcontext():
        code, line = run(words)
    text = printed.getvalue().decode()
    if code:
        raise CommandError(line or f"{words[0]} ended with the exit code {code}.", code, text)
    return text
