"""Versions of a row for projects: read them, and restore one. A version has the columns of the row as JSON."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from sqlalchemy import Select, func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from sqlmodel import SQLModel, col

from opportune.admin.models import RowVersion, recorded_key_of
from opportune.crud.schema_fields import TIMESTAMPS
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.models.columns import foreign_keys_of, key_names_of
from opportune.db.models.labels import label_of
from opportune.db.models.sensitive_names import is_secret
from opportune.db.models.soft_delete import is_trash_column
from opportune.db.models.translated import ALL_LANGUAGES
from opportune.errors import Refused
from opportune.fields.files import file_columns_of
from opportune.i18n import gettext


def table_of(model: type[SQLModel]) -> str:
    return str(model.__tablename__)


def row_key(row: SQLModel) -> tuple[str, str]:
    """Return table and key of a row in the table of versions."""
    return table_of(type(row)), recorded_key_of(row)


def select_versions(model_table: str, row_id: str) -> Select[RowVersion]:
    """Select the versions of a row, newest first. Those before the last number 1 are of a deleted row with this id."""
    is_of_row = col(RowVersion.model_table) == model_table, col(RowVersion.row_id) == row_id
    first = select(func.max(col(RowVersion.id))).where(*is_of_row, col(RowVersion.number) == 1).scalar_subquery()
    since_first = col(RowVersion.id) >= func.coalesce(first, 0)
    return select(RowVersion).where(*is_of_row, since_first).order_by(col(RowVersion.id).desc())


def select_version(row: SQLModel, number: int) -> Select[RowVersion]:
    return select_versions(*row_key(row)).where(col(RowVersion.number) == number)


async def find_newest(session: AsyncSession, row: SQLModel) -> RowVersion | None:
    return cast("RowVersion | None", await session.scalar(select_versions(*row_key(row)).limit(1)))


async def versions(session: AsyncSession, row: SQLModel) -> Sequence[RowVersion]:
    """Return the versions of a `Versioned` row, newest first.

    Args:
        session: Session of the query.
        row: The row.

    Returns:
        Versions with `number`, `at`, `actor_id`, `channel` and `values`, which holds the columns as JSON.
    """
    return (await session.scalars(select_versions(*row_key(row)))).all()


async def restore_version(session: AsyncSession, row: SQLModel, version: RowVersion | int) -> None:
    """Set the columns of a row to the values of a version, and flush it. Hooks run as for other changes.

    Args:
        session: Session that writes the row.
        row: The row, loaded by this session.
        version: The version or its number.

    Raises:
        Refused: The version does not exist, columns have changed, or a related row no longer exists.
        FieldErrors: The database refuses a value.
    """
    if isinstance(version, int):
        version = await _find_version(session, row, version)
    values = await restorable_values(session, row, version)
    with translate_database_errors(inspect(type(row), raiseerr=True).local_table):
        async with session.begin_nested():
            for name, value in values.items():
                setattr(row, name, value)
            await session.flush()


async def restorable_values(session: AsyncSession, row: SQLModel, version: RowVersion) -> dict[str, Any]:
    """Return the values of a version that differ from those of the row, by column.

    Raises:
        Refused: The version does not fit the row.
    """
    model = type(row)
    label = gettext("Version %(number)s cannot be restored", number=version.number)
    if unknown := version.values.keys() - versioned_columns(model):
        raise Refused(
            gettext(
                "%(label)s: %(model)s no longer has %(columns)s.",
                label=label,
                model=model.__name__,
                columns=", ".join(sorted(unknown)),
            )
        )
    changed = [name for name, value in version.values.items() if value != to_json(model, name, getattr(row, name))]
    try:
        values = {name: from_json(model, name, version.values[name]) for name in changed}
    except ValidationError as error:
        raise Refused(f"{label}: {error.errors()[0]['msg']}.") from error
    for name, target in foreign_keys_of(inspect(model, raiseerr=True)).items():
        if values.get(name) is not None and await session.get(target, values[name]) is None:
            raise Refused(
                gettext("%(label)s: its %(column)s no longer exists.", label=label, column=label_of(name).lower())
            )
    return values


async def _find_version(session: AsyncSession, row: SQLModel, number: int) -> RowVersion:
    version: RowVersion | None = await session.scalar(select_version(row, number))
    if version is None:
        raise Refused(gettext("This %(model)s has no version %(number)s.", model=type(row).__name__, number=number))
    return version


@cache
def versioned_columns(model: Any) -> frozenset[str]:
    """Return the columns that versions keep. Keys, secrets, files, time stamps and the trash are left out."""
    mapper: Mapper[Any] = inspect(model)
    left_out = {*key_names_of(mapper), *TIMESTAMPS, *file_columns_of(model)}
    names = (attribute.key for attribute in mapper.column_attrs)
    return frozenset(
        name for name in names if name not in left_out and not (is_secret(name) or is_trash_column(model, name))
    )


def stored_values(row: Any) -> dict[str, Any]:
    """Return the loaded values of a row as JSON."""
    model: Any = type(row)
    loaded = inspect(row).dict
    return {name: to_json(model, name, loaded[name]) for name in sorted(versioned_columns(model)) if name in loaded}


def to_json(model: Any, name: str, value: Any) -> Any:
    if value is None:
        return None
    try:
        scaled = _with_scale(model, name, value)
        return _adapter(model, name).dump_python(scaled, mode="json", warnings=False, context=ALL_LANGUAGES)
    except PydanticSerializationError:
        return str(value)


def _with_scale(model: Any, name: str, value: Any) -> Any:
    """Return a number with the decimal places that the database returns: 9 and 9.00 are the same value."""
    scale = getattr(inspect(model).columns[name].type, "scale", None)
    return round(value, scale) if scale and isinstance(value, Decimal) else value


def from_json(model: Any, name: str, value: Any) -> Any:
    """Return the value of a column.

    Raises:
        pydantic.ValidationError: The value is no longer valid.
    """
    return None if value is None else _adapter(model, name).validate_python(value)


@cache
def _adapter(model: Any, name: str) -> TypeAdapter[Any]:
    info = model.model_fields[name]
    annotation: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return TypeAdapter(annotation, config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"))


def find_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return [before, after] of each value that differs."""
    names = [*dict.fromkeys((*after, *before))]
    pairs = {name: [before.get(name), after.get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
