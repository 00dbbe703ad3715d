"""Texts of Python files: marked ones, and those of calls and declarations that users read."""

import ast
from collections.abc import Collection, Iterator, Mapping
from contextlib import redirect_stderr
from io import BytesIO, StringIO
from typing import Any

from babel.messages.extract import extract_python

Found = tuple[int, str, str | tuple[str | None, ...], list[str]]
"""Line, function, arguments and comments of a text, as Babel expects them."""
POSITIONS: dict[str, tuple[int, ...]] = {
    "Busy": (1,),
    "EventKind": (2, 3),
    "Feature": (2,),
    "HTTPException": (2,),
    "HealthLight": (1, 2, 5),
    "LlmError": (2,),
    "Link": (1,),
    "Metric": (1,),
    "Number": (1,),
    "Refused": (1,),
    "SetupStep": (2,),
    "SiteSearch": (1,),
    "SocialSignInRefused": (1,),
    "SpendingRefused": (2,),
    "UserColumn": (1,),
    "ValidationRefused": (1,),
    "WrongCredential": (2,),
    "_apply_change": (4,),
    "flash": (2,),
    "matching_entries": (1,),
    "problem": (3,),
    "redirect_with_error": (3,),
    "redirect_with_message": (3,),
    "refuse": (1,),
}
"""Positions of texts in calls, from 1."""
KEYWORD_ARGUMENTS = {
    "Field": ("title", "description"),
    "Feature": ("summary",),
    "HTTPException": ("detail",),
    "HealthLight": ("part", "words", "hint"),
    "Link": ("label",),
    "PersonalData": ("summary",),
}
"""Keyword arguments with texts in calls."""


def extract_texts(
    file: BytesIO, keywords: Mapping[str, Any], comment_tags: Collection[str], options: Any
) -> Iterator[Found]:
    """Yield the texts of a Python file: those in `_()` and similar functions, and those of declarations."""
    source = file.read()
    with redirect_stderr(StringIO()):  # warnings of f-strings, also of those that are only values of a text
        texts = [*extract_python(BytesIO(source), keywords, comment_tags, options)]
    yield from texts  # type: ignore[misc]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):  # Babel reads the calls inside with Python 3.12 only
            yield from _marked_texts(node, keywords)
        if isinstance(node, ast.Call):
            for argument in sink_arguments(node):
                if text := text_of(argument):
                    yield argument.lineno, "_", text, []


def _marked_texts(node: ast.JoinedStr, keywords: Mapping[str, Any]) -> Iterator[Found]:
    for call in ast.walk(node):
        match call:
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in keywords:
                yield call.lineno, name, tuple(map(_literal, arguments)), []


def _literal(argument: ast.expr) -> str | None:
    """Return the text of an argument; None for other values."""
    match argument:
        case ast.Constant(value=str(text)):
            return text
    return None


def sink_arguments(call: ast.Call) -> list[ast.expr]:
    """Return the arguments of a call that users read, such as the text of `flash`."""
    name = getattr(call.func, "id", "") or getattr(call.func, "attr", "")
    arguments = [call.args[position - 1] for position in POSITIONS.get(name, ()) if position <= len(call.args)]
    arguments += [keyword.value for keyword in call.keywords if keyword.arg in KEYWORD_ARGUMENTS.get(name, ())]
    if name == "FieldErrors":
        arguments += [value for argument in call.args if isinstance(argument, ast.Dict) for value in argument.values]
    return [choice for argument in arguments for choice in _choices(argument)]


def _choices(argument: ast.expr) -> list[ast.expr]:
    """Return the values that an argument can have: two for `a if condition else b`."""
    if isinstance(argument, ast.IfExp):
        return [*_choices(argument.body), *_choices(argument.orelse)]
    return [argument]


def text_of(argument: ast.expr) -> str:
    """Return a literal that begins like a sentence; empty for identifiers and other values."""
    text = _literal(argument) or ""
    return text if text[:1].isupper() or text.startswith("{") else ""
