"""Foreign keys without an index."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Inspector, inspect

from opportune.contrib.doctor.results import Finding, notice
from opportune.feature import Feature


def foreign_keys_without_index(
    connection: Connection, tables: set[str], features: Sequence[Feature]
) -> Iterator[Finding]:
    """Yield a line for each foreign key of these tables that no index begins with."""
    models = {str(model.__tablename__): model.__name__ for feature in features for model in feature.models}
    inspector = inspect(connection)
    for name in sorted(tables):
        indexed = {*_indexed_columns(inspector, name)}
        for key in inspector.get_foreign_keys(name):
            column = key["constrained_columns"][0]
            if column not in indexed:
                model = models.get(name)
                fix = f"add index=True to {model}.{column}" if model else f"run CREATE INDEX ON {name} ({column})"
                line = f"each deletion in {key['referred_table']} reads all rows of {name}; {fix}"
                yield notice("indexes", line, table=name, column=column)


def _indexed_columns(inspector: Inspector, name: str) -> Iterator[str | None]:
    """Yield the first column of each index. Partial indexes only count if they leave out empty values."""
    yield next(iter(inspector.get_pk_constraint(name)["constrained_columns"]), None)
    yield from (constraint["column_names"][0] for constraint in inspector.get_unique_constraints(name))
    for index in inspector.get_indexes(name):
        options = index.get("dialect_options", {})
        condition = next((str(value) for option, value in options.items() if option.endswith("_where")), "")
        if not condition or "IS NOT NULL" in condition.upper():
            yield index["column_names"][0]
