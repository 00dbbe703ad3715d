"""Errors of commands, printed in one line."""

import errno
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias

import typer

from opportune.cli import output
from opportune.cli.registry import PROGRAM, command_module, no_such_option, wrong_usage
from opportune.cli.terminal import printable, styled
from opportune.errors.suggestions import did_you_mean
from opportune.project.atomic_files import TEMPORARY_INFIX
from opportune.project.current import with_program
from opportune.project.installed import installed_features
from opportune.project.layout import FRAMEWORK, display_path, is_project_code

Place: TypeAlias = tuple[Path, int | None]
"""File and line of code."""

DECLARATION_ERRORS = ("pydantic.errors", "sqlalchemy.exc", "sqlalchemy.orm.exc")
"""Modules with errors about declarations. Those with `orig` are errors of the database."""


def print_error(message: str, code: int) -> int:
    print(styled(printable(" ".join(with_program(message).split())), "red", sys.stderr), file=sys.stderr)
    return code


def usage_message(error: typer.TyperException, arguments: Sequence[str]) -> str:
    ctx: Any = getattr(error, "ctx", None)
    # Typer sets no context if the value of an option is missing.
    names = [name for name in arguments[:1] if not name.startswith("-") and command_module(name)]
    path = ctx.command_path if ctx else " ".join([PROGRAM, *names])
    message = _validation_message(error) or _unknown_option_message(error)
    return wrong_usage(path, message or error.format_message().removeprefix("Invalid value: "))


def _unknown_option_message(error: typer.TyperException) -> str | None:
    """Return the message about an unknown option, with a suggestion; None for other errors."""
    option: str | None = getattr(error, "option_name", None)
    ctx: Any = getattr(error, "ctx", None)
    if not option or not ctx or not hasattr(error, "possibilities"):
        return None
    params = ctx.command.get_params(ctx)
    return no_such_option(option, [name for param in params for name in [*param.opts, *param.secondary_opts]])


def _validation_message(error: BaseException) -> str | None:
    """Return the message about a value that fails Pydantic's validation; None for other errors."""
    from pydantic import ValidationError  # slow to import, only needed for errors

    if not (isinstance(error, typer.BadParameter) and error.param and isinstance(error.__cause__, ValidationError)):
        return None
    details = error.__cause__.errors()[0]
    if details["type"] == "value_error":  # raised by Typer, with the value in the message
        return f"{error.param.opts[0]}: {_with_choice_suggestion(details['msg'].removeprefix('Value error, '))}"
    reason = "is not a whole number" if details["type"] == "int_parsing" else details["msg"].removeprefix("Input ")
    return f"{error.param.opts[0]}: {details['input']} {reason}"


def _with_choice_suggestion(message: str) -> str:
    """Add a suggestion to Typer's message `'x' is not one of 'a', 'b'.`."""
    value, *choices = re.findall(r"'([^']*)'", message) or [""]
    return f"{message}{did_you_mean(value, choices)}" if " is not one of " in message else message


def report_unexpected_error(error: Exception) -> int:
    """Report an unexpected error in one line, with its traceback if -v or DEBUG is set."""
    _report_to_features(error)
    if print_traceback(error):
        return 1
    return print_error(explain_cause(error) or describe_unexpected(error), 1)


def print_traceback(error: Exception) -> bool:
    """Print the traceback of an error if -v or DEBUG is set. Return whether it is."""
    is_verbose = output.is_verbose() or os.environ.get("DEBUG", "").lower() in {"1", "true", "yes", "on"}
    if is_verbose:
        traceback.print_exception(error)
    return is_verbose


def explain_cause(error: Exception) -> str | None:
    """Return the cause of the error and what to do, if it is a usual one on a user's machine; else None."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{error.strerror}: {error.filename or 'the output'}. Free some space, or raise the quota or ulimit -f."
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{error.strerror}. Close some, or raise ulimit -n."
    if isinstance(error, OSError) and error.filename:
        name = str(error.filename).replace(TEMPORARY_INFIX, "")
        return f"{name}: {error.strerror}. Choose or restore a path, or give this user access."
    return None


def describe_unexpected(error: Exception) -> str:
    """Return a line that names the code to correct if it is the project's, and advice."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first_line = text.partition("\n")[0]
    # Messages about imports end in the whole path of the module.
    reason = f"{type(error).__name__}: {re.sub(r' [(]/.*[)]$|[.]$', '', first_line)}"
    places = _error_places(error)
    project_places = [place for place in places if is_project_code(place[0])]
    if not project_places:
        path, line = places[-1]
        return f"Unexpected {reason} ({path.name}:{line}). Add -v for the traceback."
    path, line = project_places[-1]
    after_project = takewhile(lambda place: not is_project_code(place[0]), reversed(places))
    ends_in_framework = any(place.is_relative_to(FRAMEWORK) for place, _ in after_project)
    # A library refuses a model or schema, which the framework makes from the project's declarations.
    is_declaration_error = type(error).__module__.startswith(DECLARATION_ERRORS) and not hasattr(error, "orig")
    if is_declaration_error or not ends_in_framework:
        return f"{display_path(path)}:{line}: {reason}. {_advise(error)}"
    return f"Unexpected {reason} ({display_path(path)}:{line}). Add -v for the traceback."


def _advise(error: Exception) -> str:
    from opportune.web.errors.error_hints import hint_for  # imports most of the site

    hint = hint_for(error)
    return f"{hint.change} {hint.code}".strip() if hint else "Correct the code, or add -v."


def _report_to_features(error: Exception) -> None:
    """Pass the error to `report_error` of each feature. If that fails, only the command reports its error."""
    from opportune.config.settings import get_settings  # only for unexpected errors

    with suppress(Exception):
        for feature in installed_features():
            if report := feature.monitoring.report_error:
                report(error, get_settings())


def _error_places(error: Exception) -> list[Place]:
    """Return the lines of the traceback from outside to inside. A syntax error also has its own line."""
    places: list[Place] = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((Path(error.filename), error.lineno))
    return places
