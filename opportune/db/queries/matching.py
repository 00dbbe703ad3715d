"""Search conditions for words."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import BindParameter, Boolean, ColumnElement, Enum, String, cast, false, literal, literal_column, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from opportune.db.models.columns import type_of
from opportune.db.models.translated import current_text, is_translated
from opportune.db.queries.paths import AttributePath, Visible, all_rows

MAX_SEARCH_WORDS = 10
QUERY_WORD = re.compile(r'"([^"]+)"|(\S+)')
LIKE_ESCAPES = str.maketrans({sign: f"/{sign}" for sign in "/%_"})
ESCAPE: ColumnElement[str] = literal_column("'/'")


class _Matches(FunctionElement[bool]):
    """Case-insensitive LIKE of a text and a pattern, with `ESCAPE` if the pattern needs it."""

    type = Boolean()
    inherit_cache = True


@compiles(_Matches)
def _ilike(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    text, pattern, *_ = element.clauses
    return compiler.process(text.ilike(pattern, escape="/"), **options)


@compiles(_Matches, "sqlite")
def _like(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    # LIKE ignores case in SQLite. ILIKE would compile to lower() on both sides, which takes three times as long.
    # Comparing without ESCAPE takes a seventh less time.
    text, pattern, *escape = element.clauses
    return compiler.process(text.like(pattern, escape="/" if escape else None), **options)


def words_of(text: str) -> list[str]:
    """Return the words of a search text. Words between quotes are one word."""
    # PostgreSQL refuses NUL in a query, and no stored text contains it.
    words = [quoted or word for quoted, word in QUERY_WORD.findall(text.replace("\0", " "))]
    return words[:MAX_SEARCH_WORDS]


def pattern_of(word: str) -> BindParameter[str]:
    return literal(f"%{word.translate(LIKE_ESCAPES)}%", String())


def patterns_of(text: str) -> list[BindParameter[str]]:
    """Return a LIKE pattern for each word of a search text."""
    return [pattern_of(word) for word in words_of(text)]


def matching_words(
    searched: Sequence[AttributePath], text: str, visible: Visible = all_rows
) -> Iterator[ColumnElement[bool]]:
    """Yield one condition per word: at least one of the columns contains it."""
    for pattern in patterns_of(text):
        yield or_(false(), *(path.exists_where(matches(path.attribute, pattern), visible) for path in searched))


def matches(column: Any, pattern: BindParameter[str]) -> ColumnElement[bool]:
    escape = [ESCAPE] if "/" in str(pattern.value) else []
    text = column if _is_text_column(column) else cast(column, String)
    return _Matches(current_text(column) if is_translated(column) else text, pattern, *escape)


def _is_text_column(column: Any) -> bool:
    type_ = type_of(column)
    return isinstance(type_, String) and not isinstance(type_, Enum)
