"""Finding rows by the words that somebody types."""

import re
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Enum, String, cast, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from opportune.db.columns import type_of

MAX_SEARCH_WORDS = 10
# What is between quotes stays together.
QUERY_WORD = re.compile(r'"([^"]+)"|(\S+)')
LIKE_ESCAPES = str.maketrans({sign: f"/{sign}" for sign in "/%_"})


class _Matches(FunctionElement[bool]):
    """A text and a pattern, in capitals or not."""

    type = Boolean()
    inherit_cache = True


@compiles(_Matches)
def _ilike(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern = element.clauses
    return compiler.process(text.ilike(pattern, escape="/"), **options)


@compiles(_Matches, "sqlite")
def _like(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    # Its LIKE knows no capitals as it is: lower() on both sides would triple the time.
    text, pattern = element.clauses
    return compiler.process(text.like(pattern, escape="/"), **options)


def patterns_of(text: str) -> list[ColumnElement[str]]:
    """What a column has to be like for each word that somebody looks for; what is between quotes stays together."""
    # NUL is in no stored text, and PostgreSQL refuses to look for it.
    words = [quoted or word for quoted, word in QUERY_WORD.findall(text.replace("\0", " "))]
    return [literal(f"%{word.translate(LIKE_ESCAPES)}%", String()) for word in words[:MAX_SEARCH_WORDS]]


def matches(column: Any, pattern: ColumnElement[str]) -> ColumnElement[bool]:
    return _Matches(column if _is_plain(column) else cast(column, String), pattern)


def _is_plain(column: Any) -> bool:
    kind = type_of(column)
    return isinstance(kind, String) and not isinstance(kind, Enum)
