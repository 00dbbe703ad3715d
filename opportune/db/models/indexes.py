"""Trigram indexes, which a model declares with `search_index`. Those of full-text search are in `opportune/search`."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.orm import Mapper

from opportune.db.models.columns import holds_text
from opportune.db.models.translated import is_translated
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean

TRIGRAMS_PREFIX = "trigrams_of_"
"""Prefix of trigram indexes. Comparisons of models and copies ignore them."""
MAX_NAME_BYTES = 63
"""Limit of PostgreSQL."""
INDEXED_COLUMNS = "search_index"
"""Key in the `info` of a table."""


def index_name(table_name: str) -> str:
    return f"{TRIGRAMS_PREFIX}{table_name.lower()}"


def fit_name(name: str) -> str:
    """Return the name of an object in PostgreSQL, which cuts names. A long one gets a hash, so that it stays unique."""
    content = name.encode()
    short_name = f"{content[: MAX_NAME_BYTES - 9].decode(errors='ignore')}_{sha256(content).hexdigest()[:8]}"
    return name if len(content) <= MAX_NAME_BYTES else short_name


def indexed_columns(table: Any) -> Sequence[str]:
    """Return the columns in the search index of a table, or an empty sequence if it has none."""
    columns: Sequence[str] = table.info.get(INDEXED_COLUMNS, ())
    return columns


def tables_with_search_index(metadata: MetaData) -> Iterator[Table]:
    yield from (table for table in metadata.tables.values() if indexed_columns(table))


def declare_search_index(mapper: Mapper[Any], model: Any) -> None:
    """Store the columns of the model's `search_index` in the `info` of its table."""
    if model.search_index:
        table: Any = mapper.local_table
        table.info[INDEXED_COLUMNS] = _read_declaration(mapper, model, table.columns)


def _read_declaration(mapper: Mapper[Any], model: Any, columns: Iterable[Any]) -> tuple[str, ...]:
    owner = f"{model.__name__}.search_index"
    texts = [column.name for column in columns if is_indexable(column)]
    key = mapper.primary_key[0]
    if len(mapper.primary_key) > 1 or key.name != "id" or key.type.python_type is not int:
        raise OperatorError(f"{owner}: the table needs an integer primary key `id`.")
    if model.search_index is True:
        if not texts:
            raise OperatorError(f"{owner}: {model.__name__} has no text columns.")
        return tuple(texts)
    if isinstance(model.search_index, str):
        raise OperatorError(f"{owner} is a text. Write a tuple: ({model.search_index!r},)")
    for name in model.search_index:
        if any(column.name == name and is_translated(column) for column in columns):
            raise OperatorError(f"{owner}: {name!r} is translated, which no search index supports. Leave it out.")
        if name not in texts:
            raise OperatorError(f"{owner}: {model.__name__} has no text column {name!r}.{did_you_mean(name, texts)}")
    return tuple(model.search_index)


def is_indexable(column: Any) -> bool:
    """Return whether a column holds texts. No index covers all languages of a translated text."""
    return holds_text(column) and not is_translated(column)
