"""Versions of a row for projects: read them, and restore one."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError
from sqlalchemy import Select, func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from opportune.admin.models import RowVersion, recorded_key_of
from opportune.contrib.row_versions.json_values import from_json, to_json, versioned_columns
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.models.columns import foreign_keys_of
from opportune.db.models.labels import label_of
from opportune.errors import Refused
from opportune.i18n import gettext


def table_of(model: type[SQLModel]) -> str:
    return str(model.__tablename__)


def row_key(row: SQLModel) -> tuple[str, str]:
    """Return table and key of a row in the table of versions."""
    return table_of(type(row)), recorded_key_of(row)


def select_versions(model_table: str, row_id: str) -> Select[RowVersion]:
    """Select the versions of a row, newest first. Those before the last number 1 are of a deleted row with this id."""
    is_of_id = (col(RowVersion.model_table) == model_table) & (col(RowVersion.row_id) == row_id)
    first = select(func.max(col(RowVersion.id))).where(is_of_id, col(RowVersion.number) == 1).scalar_subquery()
    is_of_row = col(RowVersion.id) >= func.coalesce(first, 0)
    return select(RowVersion).where(is_of_id, is_of_row).order_by(col(RowVersion.id).desc())


def select_version(row: SQLModel, number: int) -> Select[RowVersion]:
    return select_versions(*row_key(row)).where(col(RowVersion.number) == number)


async def find_newest(session: AsyncSession, row: SQLModel) -> RowVersion | None:
    return cast("RowVersion | None", await session.scalar(select_versions(*row_key(row)).limit(1)))


async def versions(session: AsyncSession, row: SQLModel) -> Sequence[RowVersion]:
    """Return the versions of a `Versioned` row, newest first.

    Returns:
        Versions with `number`, `at`, `actor_id`, `channel` and `values`, which holds the columns as JSON.
    """
    return (await session.scalars(select_versions(*row_key(row)))).all()


async def restore_version(session: AsyncSession, row: SQLModel, version: RowVersion | int) -> None:
    """Set the columns of a row to the values of a version, and flush it. Hooks run as for other changes.

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
    """Return the values of a version that differ from those of the row, by column."""
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


def find_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return [before, after] of each value that differs."""
    pairs = {name: [before.get(name), after.get(name)] for name in [*dict.fromkeys((*after, *before))]}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
