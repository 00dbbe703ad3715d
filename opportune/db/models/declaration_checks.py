"""Errors in the declaration of a model, which SQLModel, Pydantic and SQLAlchemy would ignore or only warn about."""

from functools import cache
from typing import Any

from pydantic.fields import FieldInfo
from sqlalchemy import CheckConstraint
from sqlalchemy.schema import SchemaItem
from sqlmodel import SQLModel

from opportune.db.models.column_types import set_column_options
from opportune.errors import OperatorError
from opportune.errors.suggestions import MIN_MISSPELT_SIMILARITY, closest_name

RESERVED_NAMES = {"metadata", "registry", "model_fields"}
"""Attributes of model classes that a field would replace."""
TABLE_OPTIONS = {"__tablename__", "__table_args__", "__mapper_args__"}
Model = type[SQLModel]


def full_name(model: Model) -> str:
    return f"{model.__module__}.{model.__name__}"


def refuse_reserved_names(model: Model) -> None:
    """Refuse fields with names of model attributes, and Django's options."""
    # SQLModel sets this attribute, also where Python evaluates annotations later.
    names = RESERVED_NAMES & vars(model)["__annotations__"].keys()
    if names:
        raise OperatorError(f"{full_name(model)}: the name {min(names)} is reserved. Rename this field.")
    if "Meta" in vars(model):
        advice = "Its options are elsewhere (oppman.py docs from-django). Remove it."
        raise OperatorError(f"{full_name(model)}: class Meta has no effect. {advice}")


def refuse_misspelt_options(model: Model) -> None:
    """Refuse names such as `__tableargs__`, which SQLAlchemy would ignore."""
    for name in vars(model):
        if option := _option_similar_to(name):
            raise OperatorError(f"{full_name(model)}: {name} has no effect. Write {option}.")


@cache
def _option_similar_to(name: str) -> str | None:
    if name in TABLE_OPTIONS or not name.startswith("_"):
        return None
    return closest_name(name, TABLE_OPTIONS, MIN_MISSPELT_SIMILARITY)


def refuse_invalid_table_arguments(model: Model) -> None:
    """Refuse a single argument without a comma, and check constraints that migrations could not name."""
    arguments: Any = vars(model).get("__table_args__", ())
    if isinstance(arguments, SchemaItem):
        example = f"({type(arguments).__name__}(…),)"
        raise OperatorError(f"{full_name(model)}: __table_args__ is no tuple. Write a comma after its item: {example}")
    for check in arguments if isinstance(arguments, tuple) else ():
        if isinstance(check, CheckConstraint) and not check.name:
            example = f'CheckConstraint("{check.sqltext}", name="…")'
            raise OperatorError(f"{full_name(model)}: a check constraint has no name. Write {example}.")


def refuse_table_inheritance(model: Model) -> None:
    """Refuse fields and options in a subclass of a table, for which SQLModel would silently map no table."""
    base = next((base for base in model.__mro__[1:] if "__table__" in vars(base)), None)
    fields = model.model_fields.keys() & vars(model)["__annotations__"].keys()
    if base and (vars(model).keys() & TABLE_OPTIONS or fields):
        raise OperatorError(
            f"{full_name(model)} inherits the table of {base.__name__}, which SQLModel does not "
            f"support. Refer to {base.__name__} by a foreign key, or move shared fields to a class without table=True."
        )


def refuse_invalid_table_name(model: Model) -> None:
    """Refuse an empty table name and values that are neither texts nor computed for each class."""
    if "__tablename__" not in vars(model):
        return
    table: Any = vars(model)["__tablename__"]
    is_computed = hasattr(table, "__get__")
    is_text = isinstance(table, str) and table
    if not (is_text or is_computed):
        advice = f'Write a text, such as "books_{model.__name__.lower()}".'
        raise OperatorError(f"{full_name(model)}.__tablename__ is {table!r}. {advice}")


def set_options_of_field(model: Model, name: str, info: FieldInfo) -> None:
    """Set the options of a field's column."""
    place = f"{full_name(model)}.{name}"
    try:
        set_column_options(info)
    except (TypeError, ValueError) as error:
        advice = "Choose another type, or set that of the column: Field(sa_type=…)."
        raise OperatorError(f"{place}: {error}. {advice}") from None
    if callable(info.default):
        advice = f"Write Field(default_factory={getattr(info.default, '__name__', '…')})."
        raise OperatorError(f"{place}: the default is a function. {advice}")
