"""A row in every table of the site, all of them number 1 and of one owner."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic.fields import FieldInfo
from sqlalchemy import Table, delete
from sqlmodel import SQLModel

from opportune.accounts.models import Group, User
from opportune.db.database import Database
from opportune.db.model import Model
from opportune.feature import Feature
from opportune.testing.factories import make_user
from opportune.testing.rows import value_for

ROW_ID = 1
A_WORD = "x"
WORDS = "javascript:'\"><script>alert(1)</script>"
"""What each text says: a page that does not escape it, or links to it, runs it."""
LATER = datetime(2999, 1, 1, tzinfo=UTC)


async def fill(database: Database, features: Iterable[Feature]) -> User:
    """Give the owner of all that has one. In a database without rows the first one has number 1 by itself."""
    async with database.writer() as session:
        await session.execute(delete(Group))  # those that features ship, whose members have rights
    owner = await make_user(database, "owner@example.com")
    models = {str(model.__tablename__): model for feature in features for model in feature.models}
    del models[str(User.__tablename__)]
    async with database.writer() as session:
        for table in Model.metadata.sorted_tables:
            if model := models.get(table.name):
                session.add(_row(model, table))
                await session.flush()
    return owner


def _row(model: type[SQLModel], table: Table) -> SQLModel:
    given = {name: _value(model, name, field) for name, field in model.model_fields.items() if field.is_required()}
    texts = {
        name: WORDS[: _length(table, name)] for name, field in model.model_fields.items() if field.annotation is str
    }
    return model(**given | texts | ({"slug": A_WORD} if "slug" in texts else {}))


def _length(table: Table, name: str) -> int | None:
    return getattr(table.columns[name].type, "length", None)


def _value(model: type[SQLModel], name: str, field: FieldInfo) -> Any:
    kinds: dict[Any, Any] = {int: ROW_ID, datetime: LATER}
    return kinds.get(field.annotation) or value_for(model, name, field)
