"""Finding rows by the words that somebody types."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, false, or_

from opportune.admin.paths import Path
from opportune.db.matching import matches, patterns_of


def matching_words(statement: Select[Any], searched: Sequence[Path], text: str) -> Select[Any]:
    """The rows that have every word in some column. Signs such as % stand for themselves."""
    for pattern in patterns_of(text):
        found = [path.holds(matches(path.attribute, pattern)) for path in searched]
        statement = statement.where(or_(false(), *found))
    return statement
