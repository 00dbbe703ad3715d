"""A row with the id 1 in every table of the site, all of one owner."""

from collections.abc import Iterable, Mapping
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
SAMPLE_WORD = "x"
UNSAFE_TEXT = "javascript:'\"><script>alert(1)</script>"
"""Value of each text field. A page that does not escape it would run the script."""
FUTURE = datetime(2999, 1, 1, tzinfo=UTC)


async def insert_sample_rows(database: Database, features: Iterable[Feature]) -> User:
    """Store a sample row of each model in a database without rows, and return the user who owns them.

    Raises:
        OperatorError: a model or the database refuses its sample row.
    """
    features = list(features)
    sample_values = {model: values for feature in features for model, values in feature.data.sample_rows.items()}
    async with database.writer() as session:
        await session.execute(delete(Group))  # groups of migrations, whose permissions would depend on the features
    owner = await make_user(database, "owner@example.com")
    models = {
        str(model.__tablename__): model for feature in features if _has_pages(feature) for model in feature.models
    }
    del models[str(User.__tablename__)]
    async with database.writer() as session:
        for table in Model.metadata.sorted_tables:
            if model := models.get(table.name):
                try:
                    session.add(sample_row(model, table, sample_values.get(model, {})))
                    await session.flush()
                except (ValueError, FieldErrors, SQLAlchemyError) as error:
                    raise OperatorError(_refusal_message(model, error)) from error
    return owner


def _refusal_message(model: type[SQLModel], error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    reason, name = " ".join(str(cause).split()).rstrip("."), model.__name__
    return f"No sample row of {name}: {reason}. Give its values in Feature(sample_rows={{{name}: {{…}}}})."


def _has_pages(feature: Feature) -> bool:
    """Return whether the model has pages. Adopted tables may have columns without a sample value."""
    return bool(not feature.data.adopts_tables or feature.pages or feature.api or feature.admin.views)


def sample_row(model: type[SQLModel], table: Table, values: Mapping[str, Any]) -> SQLModel:
    required = {name: field for name, field in model.model_fields.items() if field.is_required() and name not in values}
    generated = {name: _sample_value(model, table, name, field) for name, field in required.items()}
    text_fields = (name for name, field in model.model_fields.items() if field.annotation is str)
    texts = {name: UNSAFE_TEXT[: _max_length(model, name)] for name in text_fields}
    team = {crud_class.team_column: ROW_ID for crud_class in crud_classes.get(model, ()) if crud_class.team_column}
    return model(**generated | texts | ({"slug": SAMPLE_WORD} if "slug" in texts else {}) | team | dict(values))


def _max_length(model: type[SQLModel], name: str) -> int | None:
    return getattr(getattr(model, name).type, "length", None)


def _sample_value(model: type[SQLModel], table: Table, name: str, field: FieldInfo) -> Any:
    position = position_of(model, name)
    if field.annotation is datetime:
        return FUTURE + timedelta(days=position)
    if field.annotation is int and (name.endswith("_id") or table.columns[name].foreign_keys):
        return ROW_ID
    return value_for(model, name, field, position + 1)
