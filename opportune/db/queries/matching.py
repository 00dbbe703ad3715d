"""Search conditions for words and texts, which ignore case for all letters on both databases.

LIKE of SQLite knows the two forms of ASCII letters, and PostgreSQL those of all letters but the final sigma.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Select, String, cast, false, func, literal, literal_column, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from opportune.db.models.columns import holds_text
from opportune.db.models.translated import current_text, is_translated
from opportune.db.queries.paths import AttributePath, Visible, all_rows

MAX_SEARCH_WORDS = 10
QUERY_WORD = re.compile(r'"([^"]+)"|(\S+)')
LIKE_ESCAPES = str.maketrans({sign: f"/{sign}" for sign in "/%_"})
ESCAPE: ColumnElement[str] = literal_column("'/'")

SIGMA = "\u03c3"
LOWER_LETTERS = {"\u0130": "i", "\u03c2": SIGMA}
"""Lower case of letters for which Python has two letters, or keeps the final form."""
UNUSUAL_FORMS = (*LOWER_LETTERS, "\u212a", "\u212b", "\u2126", "\u03f4", "\u1e9e")
"""Letters to which `upper` of their lower case does not lead: İ, final sigma, Kelvin, Angstrom, Ohm, Theta and ẞ."""
MAX_PATTERN_BYTES = 50_000
"""Longest pattern that SQLite accepts."""
MAX_LETTERS = 100
"""Letters of a pattern with other forms. SQLite limits the depth of expressions to 1,000."""


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
    # LIKE ignores the case of ASCII in SQLite. ILIKE would compile to lower() on both sides, which is slower.
    # Comparing without ESCAPE is faster.
    text, pattern, *escape = element.clauses
    return compiler.process(text.like(pattern, escape="/" if escape else None), **options)


class _ByDatabase(FunctionElement[bool]):
    """Two conditions, for PostgreSQL and for SQLite."""

    type = Boolean()
    inherit_cache = True


@compiles(_ByDatabase)
def _condition_of_database(element: _ByDatabase, compiler: SQLCompiler, **options: Any) -> str:
    on_postgresql, on_sqlite = element.clauses
    is_sqlite = compiler.dialect.name == "sqlite"
    return compiler.process((on_sqlite if is_sqlite else on_postgresql).self_group(), **options)


def words_of(text: str) -> list[str]:
    """Return the words of a search text. Words between quotes are one word."""
    # PostgreSQL refuses NUL in a query, and no stored text contains it.
    words = [quoted or word for quoted, word in QUERY_WORD.findall(text.replace("\0", " "))]
    return words[:MAX_SEARCH_WORDS]


def pattern_of(word: str) -> str:
    """Return the LIKE pattern of texts that contain a word. Its escape character is a slash."""
    return f"%{word.translate(LIKE_ESCAPES)}%"


def patterns_of(text: str) -> list[str]:
    """Return a LIKE pattern for each word of a search text."""
    return [pattern_of(word) for word in words_of(text)]


def matching_words(
    searched: Sequence[AttributePath], text: str, visible: Visible = all_rows
) -> Iterator[ColumnElement[bool]]:
    """Yield one condition per word: at least one of the columns contains it.

    Databases compare the words in this order, up to one that is missing. So words that are probably rare come first.
    """
    for pattern in sorted(patterns_of(text), key=_probable_rarity, reverse=True):
        yield _any_matches(searched, pattern, visible)


def is_exact_match(searched: Sequence[AttributePath], text: str, visible: Visible = all_rows) -> ColumnElement[bool]:
    """Return the condition that one of the columns is the text. It ignores the case of all letters."""
    return _any_matches(searched, text.replace("\0", " ").translate(LIKE_ESCAPES), visible)


async def read_first(session: AsyncSession, query: Select[Any], first: ColumnElement[bool], limit: int) -> list[Any]:
    """Return the first rows of a query: those with the condition, then the others.

    Both keep the order of the query, so that the database can stop at the last row instead of sorting all matches.
    """
    rows = (await session.scalars(query.where(first).limit(limit))).unique().all()
    others = query.where(first.is_not(True)).limit(limit - len(rows))
    return [*rows, *(await session.scalars(others)).unique()]


def _any_matches(searched: Sequence[AttributePath], pattern: str, visible: Visible) -> ColumnElement[bool]:
    return or_(false(), *(path.exists_where(matches(path.attribute, pattern), visible) for path in searched))


def _probable_rarity(pattern: str) -> tuple[bool, int]:
    """Return the sort key of a pattern: numbers are rarer than words, and long words rarer than short ones."""
    return any(map(str.isdigit, pattern)), len(pattern)


def contains(column: Any, text: str) -> ColumnElement[bool]:
    """Return the condition that a column contains a text. It ignores the case of all letters, also on SQLite.

    select(Book).where(contains(col(Book.title), "änne"))
    """
    return matches(column, pattern_of(text.replace("\0", " ")))


def starts_with(column: Any, text: str) -> ColumnElement[bool]:
    """Return the condition that a column begins with a text. It ignores the case of all letters, also on SQLite."""
    return matches(column, text.replace("\0", " ").translate(LIKE_ESCAPES) + "%")


def matches(column: Any, pattern: str) -> ColumnElement[bool]:
    """Return the condition that a column matches a LIKE pattern. It ignores the case of all letters."""
    text: Any = column if holds_text(column) else cast(column, String)
    if is_translated(column):
        text = current_text(column)
    forms = forms_of(pattern)
    if not forms:
        return _like_pattern(text, pattern)
    on_postgresql = {letter: others for letter, others in forms.items() if letter == SIGMA}
    return _ByDatabase(_match(text, pattern, on_postgresql), _match(text, pattern, forms))


def _match(text: Any, pattern: str, forms: Mapping[str, Sequence[str]]) -> ColumnElement[bool]:
    """Compare a text whose letters have been replaced by their lower case. Compare few rows, because this is slow."""
    if not forms:
        return _like_pattern(text, pattern)
    pattern = "".join(map(lower_character, pattern))
    folded = text
    for letter, others in forms.items():
        for other in others:
            folded = func.replace(folded, other, letter, type_=String())
    any_letter = "".join("_" if letter in forms else letter for letter in pattern)
    return _like_pattern(text, any_letter) & _like_pattern(folded, pattern)


def _like_pattern(text: Any, pattern: str) -> ColumnElement[bool]:
    if len(pattern.encode(errors="replace")) > MAX_PATTERN_BYTES:
        return false()
    escape = [ESCAPE] if "/" in pattern else []
    return _Matches(text, literal(pattern, String()), *escape)


def lower_character(letter: str) -> str:
    """Return the lower case of a letter as one letter."""
    lower = LOWER_LETTERS.get(letter) or letter.lower()
    return lower if len(lower) == 1 else letter


def forms_of(text: str) -> dict[str, tuple[str, ...]]:
    """Return the lower case letters of a text that have other forms outside of ASCII, with these forms."""
    forms = {letter: _other_forms(letter) for letter in dict.fromkeys(map(lower_character, text))}
    return dict([(letter, others) for letter, others in forms.items() if others][:MAX_LETTERS])


@cache
def _other_forms(letter: str) -> tuple[str, ...]:
    candidates = dict.fromkeys((letter.upper(), letter.title(), *UNUSUAL_FORMS))
    return tuple(
        other
        for other in candidates
        if len(other) == 1 and not other.isascii() and other != letter and lower_character(other) == letter
    )
