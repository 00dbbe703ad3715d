"""The base of every table."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from fastapi import Path
from pydantic import BeforeValidator
from sqlalchemy import BigInteger, Integer, MetaData, Table, event, inspect
from sqlmodel import Field, SQLModel

from opportune.db.models.column_types import choose_column_type
from opportune.db.models.enums import store_values
from opportune.errors import OperatorError
from opportune.schemas.annotations import Attached, marks_of

MAX_ID = 2**63 - 1

# SQLite numbers rows only in a column that is spelled INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")

# Constraints with names can be dropped by a migration.
NAMING_CONVENTION = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class ModelBase(SQLModel):
    """A table with keys of its own, such as one in between two others: `class BookTag(ModelBase, table=True)`."""

    keeps_history: ClassVar[bool] = True
    """Whether the audit log records changes of its rows, if it is a model of the project."""
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    # Rows are not validated by themselves: what would do it is built when somebody asks for it.
    model_config = {"defer_build": True}

    def __hash__(self) -> int:
        """Rows that are stored can be members of sets and keys of dicts. Raises TypeError for others, as in Django."""
        state = inspect(self, raiseerr=False)
        if state is None or state.identity is None:
            raise TypeError(f"This {type(self).__name__} has no hash: it is not stored yet.")
        return hash((type(self), state.identity))

    @classmethod
    def __init_subclass__(cls, **options: Any) -> None:
        """Say it in a line where two models claim one table, which SQLAlchemy tells of the second alone."""
        if (table := vars(cls).get("__tablename__")) in cls.metadata.tables:
            known = (*ModelBase.__subclasses__(), *Model.__subclasses__())
            others = [each for each in known if vars(each).get("__tablename__") == table]
            modules = " and ".join(dict.fromkeys(each.__module__ for each in (*others, cls)))
            raise OperatorError(f"{modules} claim one table, {table}: let each name begin with its own feature's.")
        super().__init_subclass__(**options)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Choose the types of columns, which SQLModel makes after this, and let fields do what they do besides."""
        super().__pydantic_init_subclass__(**options)
        for name, info in cls.model_fields.items():
            choose_column_type(info)
            for mark in marks_of(info, Attached):
                mark.attach(cls, name)


class Model(ModelBase):
    """A table: `class Book(Model, table=True)` with `__tablename__ = "books_book"`. Has a 64-bit `id`.

    A field of an Enum is stored as the value of its member, and a check constraint keeps others out. A whole number
    with a `foreign_key` has 64 bits too. Lists and mappings are JSON, `Text` has no bound, and the types of
    `opportune.fields` bring their own columns.
    """

    id: int = Field(default=None, primary_key=True, sa_type=BigId)


@event.listens_for(Table, "after_parent_attach")
def _prepare(table: Table, metadata: MetaData) -> None:
    if metadata.naming_convention is NAMING_CONVENTION:  # a table of the site's, and not of a library's
        store_values(table)
        for there in table.columns:
            if there.foreign_keys and type(there.type) is Integer:
                there.type = BigId  # as the ids that it points at


def _is_number(text: object) -> object:
    """Pydantic takes ` 1`, `+1` and `1_0` for numbers, and `1` with a line's end after it: one row has one address."""
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        raise ValueError("must be digits")
    return text


RowKey = Annotated[int, BeforeValidator(_is_number)]
RowId = Annotated[RowKey, Path(ge=1, le=MAX_ID)]
"""A row's id in a path: what no row can have is not found."""


def utc_now() -> datetime:
    return datetime.now(UTC)
