"""A row with the id 1 in every table of the site, all of one owner."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic.fields import FieldInfo
from sqlalchemy import Table, delete
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import SQLModel

from opportune.accounts.models import Group, User
from opportune.crud.registry import crud_classes
from opportune.db.database import Database
from opportune.db.models.model import Model
from opportune.errors import FieldErrors, OperatorError
from opportune.feature import Feature
from opportune.testing.factories import make_user
from opportune.testing.rows import position_of, value_for

ROW_ID = 1
"""Id of each sample row, and of the rows that it refers to."""
SAMPLE_WORD = "x"
"""Value of slugs, which is valid in paths."""
UNSAFE_TEXT = "javascript:'\"><script>alert(1)</script>"
"""Value of each text field that accepts it. A page that does not escape it would run the script."""
FUTURE = datetime(2999, 1, 1, tzinfo=UTC)
"""Value of the first time of a row, so that nothing has expired. Later fields have later times."""


async def insert_sample_rows(database: Database, features: Iterable[Feature]) -> User:
    """Store a sample row of each model in a database without rows, and return the user who owns them.

    Raises:
        OperatorError: A model or the database refuses its sample row.
    """
    features = list(features)
    declared_values = {model: values for feature in features for model, values in feature.data.sample_rows.items()}
    owner = await make_user(database, "owner@example.com")
    async with database.writer() as session:
        await session.execute(delete(Group))  # groups of migrations, whose permissions would depend on the features
        for model, table in _sampled_tables(features):
            try:
                session.add(sample_row(model, table, declared_values.get(model, {})))
                await session.flush()
            except (ValueError, FieldErrors, SQLAlchemyError) as error:
                raise OperatorError(_refusal_message(model, error)) from error
    return owner


def _sampled_tables(features: Iterable[Feature]) -> Iterator[tuple[type[SQLModel], Table]]:
    """Yield each model except users with its table, referenced tables first."""
    sampled = [feature for feature in features if _has_sample_values(feature)]
    models = {str(model.__tablename__): model for feature in sampled for model in feature.models}
    for table in Model.metadata.sorted_tables:
        if table.name in models and table.name != User.__tablename__:
            yield models[table.name], table


def _has_sample_values(feature: Feature) -> bool:
    """Return whether rows can be generated. Adopted tables without pages may have columns of any type."""
    has_pages = bool(feature.pages or feature.api or feature.admin.views)
    return has_pages or not feature.data.adopts_tables


def _refusal_message(model: type[SQLModel], error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    reason = " ".join(str(cause).split()).rstrip(".")
    name = model.__name__
    return f"No sample row of {name}: {reason}. Give its values in data=Data(sample_rows={{{name}: {{…}}}})."


def sample_row(model: type[SQLModel], table: Table, values: Mapping[str, Any]) -> SQLModel:
    """Return a row with these values. Values of other required fields and of text fields are generated."""
    fields = {name: field for name, field in model.model_fields.items() if field.is_required() or _is_text(field)}
    generated = {name: _sample_value(model, table, name, field) for name, field in fields.items() if name not in values}
    team_columns = [crud_class.team_column for crud_class in crud_classes.get(model, ()) if crud_class.team_column]
    return model(**{**generated, **dict.fromkeys(team_columns, ROW_ID), **values})


def _is_text(field: FieldInfo) -> bool:
    return field.annotation is str


def _sample_value(model: type[SQLModel], table: Table, name: str, field: FieldInfo) -> Any:
    if field.annotation is int and (name.endswith("_id") or table.columns[name].foreign_keys):
        return ROW_ID
    position = position_of(model, name)
    if field.annotation is datetime:
        return FUTURE + timedelta(days=position)
    text = SAMPLE_WORD if name == "slug" else UNSAFE_TEXT[: getattr(getattr(model, name).type, "length", None)]
    return value_for(model, name, field, position + 1, [text] if _is_text(field) else [])
