"""Foreign keys to tables or columns that do not exist."""

from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.exc import NoReferenceError

from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean


def refuse_missing_targets(metadata: MetaData) -> None:
    """Refuse foreign keys that reference nothing.

    Raises:
        OperatorError: No installed feature has the table, or the table lacks the column.
    """
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            if not _has_target(key):
                raise OperatorError(f"{table.name}.{key.parent.name}: {_describe_target(key, metadata)}")


def _has_target(key: ForeignKey) -> bool:
    try:
        return key.column is not None  # resolves the name
    except NoReferenceError:
        return False


def _describe_target(key: ForeignKey, metadata: MetaData) -> str:
    name, _, column = key.target_fullname.rpartition(".")
    if not name:
        return f'foreign_key="{column}" has no column. Write foreign_key="{column}.id".'
    if (table := metadata.tables.get(name)) is not None:
        return f'foreign_key="{name}.{column}": {name} has no column {column}.{did_you_mean(column, table.c.keys())}'
    hint = did_you_mean(name, metadata.tables) or " Write the __tablename__ of a model of an installed feature."
    return f'foreign_key="{name}.{column}": there is no table {name}.{hint}'
