"""Wrapping of long lines in generated code, as ruff does it, because ruff may not be installed yet."""

import io
import tokenize
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

MAX_LINE_LENGTH = 120
OPENING, CLOSING = "([{", ")]}"
KEYWORDS = {"and", "assert", "await", "else", "for", "if", "import", "in", "is", "not", "or", "return", "yield"}
"""Keywords before brackets of an expression. Brackets after other names belong to a call, a definition or a type."""


class Brackets(NamedTuple):
    """Position of the content of a pair of brackets in a line."""

    start: int
    end: int
    commas: list[int]
    is_call: bool


def wrap_lines(code: str, unchanged: str = "") -> str:
    """Wrap lines that are too long, except lines of another text."""
    skipped = {*unchanged.splitlines()}
    lines = code.splitlines(keepends=True)
    return "".join(part for line in lines for part in ([line] if line.rstrip("\n") in skipped else _wrapped(line)))


def split_items(code: str) -> list[str]:
    """Split code such as `a, f(b, c)` at its outer commas."""
    brackets = next(_outer_brackets(f"({code})"))
    return [part.strip() for part in _parts(f"({code})", brackets)]


def _wrapped(line: str) -> Iterator[str]:
    line = line.rstrip("\n")
    indent = " " * (len(line) - len(line.lstrip()))
    target, _, value = line.rpartition(" = ")
    brackets = _brackets_to_split(line)
    if len(line) <= MAX_LINE_LENGTH:
        yield f"{line}\n"
    elif target and not {*OPENING} & {*value} and len(f"{target} = (") <= MAX_LINE_LENGTH:
        yield f"{target} = (\n{indent}    {value}\n{indent})\n"
    elif brackets:
        yield f"{line[: brackets.start]}\n"
        content = line[brackets.start : brackets.end].removesuffix(",")
        is_one_line = len(f"{indent}    {content}") <= MAX_LINE_LENGTH
        if brackets.commas and not (brackets.is_call and is_one_line):
            for part in _parts(line, brackets):
                yield from _wrapped(f"{indent}    {part.strip()},")
        else:
            yield from _wrapped(f"{indent}    {content}")
        yield f"{indent}{line[brackets.end :]}\n"
    else:
        yield f"{line}\n"


def _parts(line: str, brackets: Brackets) -> Iterator[str]:
    for before, end in pairwise([brackets.start - 1, *brackets.commas, brackets.end]):
        if line[before + 1 : end].strip():
            yield line[before + 1 : end]


def _brackets_to_split(line: str) -> Brackets | None:
    """Return the brackets at which ruff splits a line: the first of a definition, otherwise the last."""
    code = line.lstrip()
    try:
        outer = [brackets for brackets in _outer_brackets(code) if brackets.start < brackets.end]
    except (tokenize.TokenError, SyntaxError):  # part of a longer statement
        return None
    if not outer:
        return None
    start, end, commas, is_call = outer[0 if code.startswith(("def ", "async def ", "class ")) else -1]
    indent = len(line) - len(code)
    return Brackets(start + indent, end + indent, [comma + indent for comma in commas], is_call)


def _outer_brackets(line: str) -> Iterator[Brackets]:
    depth, start, before = 0, 0, ""
    commas: list[int] = []
    is_call = False
    for token in _tokens(line):
        if token.type == tokenize.OP and token.string in OPENING:
            if depth == 0:
                start, commas = token.end[1], []
                is_call = before in (")", "]") or (before.isidentifier() and before not in KEYWORDS)
            depth += 1
        elif token.type == tokenize.OP and token.string in CLOSING:
            depth -= 1
            if depth == 0:
                yield Brackets(start, token.start[1], commas, is_call)
        elif token.string == "," and depth == 1:
            commas.append(token.start[1])
        before = token.string


def _tokens(line: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens outside f-strings, which Python 3.12 and newer also tokenize."""
    nested = 0
    for token in tokenize.generate_tokens(io.StringIO(line).readline):
        name = tokenize.tok_name[token.type]
        nested += name.endswith("STRING_START")
        if not nested:
            yield token
        nested -= name.endswith("STRING_END")
