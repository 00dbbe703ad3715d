"""Faulty lines of `.env` files."""

from io import StringIO
from itertools import takewhile

from dotenv.parser import Binding, parse_stream

QUOTE_HINT = (
    "has a quote that does not end its value: write NAME='value' without that quote inside. "
    "In a database URL, write %27 for ' and %22 for \"."
)


def unreadable_line(text: str) -> str | None:
    """Return an error message for the first unreadable line, without its content. None if there is none.

    Skipping a line is dangerous: without its DATABASE_URL a site would start on an empty SQLite database.
    """
    bindings = parse_stream(StringIO(text))
    return next((_describe_fault(binding) for binding in bindings if binding.error or _is_bare_word(binding)), None)


def _is_bare_word(binding: Binding) -> bool:
    """Return whether a line lacks `=`. The shell's `export NAME` is allowed."""
    is_export = binding.original.string.lstrip().startswith("export ")
    return binding.key is not None and binding.value is None and not is_export


def _describe_fault(binding: Binding) -> str:
    string = binding.original.string
    # The parser counts empty lines above a statement as part of it.
    leading_space = "".join(takewhile(str.isspace, string))
    number = binding.original.line + leading_space.count("\n")
    name, equals, _ = string.strip().partition("=")
    is_setting = bool(equals and name.strip() and len(name.removeprefix("export ").split()) == 1)
    hint = QUOTE_HINT if is_setting else "has no NAME=value. If it is a comment, begin the line with #."
    return f"line {number} {hint}"
