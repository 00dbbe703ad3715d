"""Finding rows by the words that somebody types."""

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Enum, Select, String, cast, false, literal, or_
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


def matching_words(statement: Select[Any], columns: Iterable[Any], text: str) -> Select[Any]:
    """The rows that have every word in some column. Signs such as % stand for themselves."""
    columns = [column if _is_plain(column) else cast(column, String) for column in columns]
    # NUL is in no stored text, and PostgreSQL refuses to look for it.
    words = [quoted or word for quoted, word in QUERY_WORD.findall(text.replace("\0", " "))]
    for word in words[:MAX_SEARCH_WORDS]:
        pattern = literal(f"%{word.translate(LIKE_ESCAPES)}%", String())
        found: list[ColumnElement[bool]] = [_Matches(column, pattern) for column in columns]
        statement = statement.where(or_(false(), *found))
    return statement


def _is_plain(column: Any) -> bool:
    kind = type_of(column)
    return isinstance(kind, String) and not isinstance(kind, Enum)
