"""Finding rows by the words that somebody types."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Boolean, Enum, Select, String, cast, false, literal, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from opportune.admin.paths import Path
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


def matching_words(statement: Select[Any], searched: Sequence[Path], text: str) -> Select[Any]:
    """The rows that have every word in some column. Signs such as % stand for themselves."""
    # NUL is in no stored text, and PostgreSQL refuses to look for it.
    words = [quoted or word for quoted, word in QUERY_WORD.findall(text.replace("\0", " "))]
    for word in words[:MAX_SEARCH_WORDS]:
        pattern = literal(f"%{word.translate(LIKE_ESCAPES)}%", String())
        found = [path.holds(_Matches(_as_text(path.attribute), pattern)) for path in searched]
        statement = statement.where(or_(false(), *found))
    return statement


def _as_text(column: Any) -> Any:
    return column if _is_plain(column) else cast(column, String)


def _is_plain(column: Any) -> bool:
    kind = type_of(column)
    return isinstance(kind, String) and not isinstance(kind, Enum)
