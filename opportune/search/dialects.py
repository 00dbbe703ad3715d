"""Queries in the syntax of the databases."""

from collections.abc import Callable

from opportune.search.query import Phrase, Query


def write_fts5(query: Query) -> str:
    """Return a query of SQLite's FTS5; empty if no word is required."""

    def quote(phrase: Phrase) -> str:
        return f'"{" ".join(phrase)}"'

    last_term = f'"{query.last_word}"{" *" if query.is_prefix else ""}'
    return " OR ".join(_write_choices(query, quote, last_term, " AND ", " NOT "))


def write_tsquery(query: Query) -> str:
    """Return a `tsquery` of PostgreSQL; empty if no word is required."""

    def quote(phrase: Phrase) -> str:
        words_in_order = " <-> ".join(f"'{word}'" for word in phrase)
        return f"({words_in_order})"

    last_term = f"'{query.last_word}'{':*' if query.is_prefix else ''}"
    return " | ".join(_write_choices(query, quote, last_term, " & ", " & !"))


def _write_choices(query: Query, quote: Callable[[Phrase], str], last_term: str, and_: str, and_not: str) -> list[str]:
    """Return the choices that require a word, with their operators."""
    choices = []
    for choice in query.choices:
        terms = [quote(phrase) for phrase in choice.required]
        if choice is query.choices[-1] and query.requires_last_word:
            terms.append(last_term)
        if terms:
            exclusions = "".join(f"{and_not}{quote(phrase)}" for phrase in choice.excluded)
            choices.append(f"({and_.join(terms)}{exclusions})")
    return choices
