"""Hooks that keep a version of each change of a `Versioned` row, and the daily deletion of old ones."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import String, cast, delete, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from opportune.admin.models import RowVersion
from opportune.contrib.row_versions import json_values, service
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.hooks.change_origin import acting_user_id, current_origin
from opportune.db.hooks.registry import add_after_create, after_delete, after_update, changes
from opportune.db.models.model import Versioned, tables_with
from opportune.db.queries.batches import delete_in_batches
from opportune.jobs import JobContext, job
from opportune.jobs.cleanup import check_clock


@add_after_create(Versioned, RowVersion)
def record_first_version(row: Versioned) -> Mapping[str, Any]:
    return _version_fields(row, 1, json_values.stored_values(row))


@after_update(Versioned)
async def record_version(session: AsyncSession, row: Versioned) -> None:
    """Keep the new values. Rows from before the model was `Versioned` first get a version with the old values."""
    columns = json_values.versioned_columns(type(row))
    changed = {name: change for name, change in changes(row).items() if name in columns}
    if not changed:
        return
    if missing := columns - inspect(row, raiseerr=True).dict.keys():
        await session.refresh(row, attribute_names=[*missing])
    values = json_values.stored_values(row)
    newest = await service.find_newest(session, row)
    if newest is None:
        previous = {name: json_values.to_json(type(row), name, change.before) for name, change in changed.items()}
        first = _version_fields(row, 1, values | previous) | {"channel": "", "actor_id": None}
        session.add(RowVersion(**first))
    session.add(RowVersion(**_version_fields(row, newest.number + 1 if newest else 2, values)))


@after_delete(Versioned)
async def delete_versions(session: AsyncSession, row: Versioned) -> None:
    model_table, row_id = service.row_key(row)
    await session.execute(delete(RowVersion).filter_by(model_table=model_table, row_id=row_id))


VERSIONING = (record_first_version, record_version, delete_versions)


def _version_fields(row: SQLModel, number: int, values: Mapping[str, Any]) -> dict[str, Any]:
    origin = current_origin.get()
    model_table, row_id = service.row_key(row)
    return {
        "model_table": model_table,
        "row_id": row_id,
        "number": number,
        "at": utc_now(),
        "actor_id": acting_user_id(),
        "channel": (origin.channel if origin else "command")[:100],
        "values": dict(values),
    }


@job("admin.delete_old_versions", schedule="47 3 * * *")
async def delete_old_versions_daily(run: JobContext) -> None:
    await delete_old_versions(run.database, tables_with(Versioned))


async def delete_old_versions(database: Database, models: Iterable[type[Versioned]]) -> int:
    """Delete versions by age, and versions of rows that statements or cascades have deleted. Return their number."""
    await check_clock(database)
    count = 0
    for model in models:
        is_of_model = col(RowVersion.model_table) == service.table_of(model)
        keys: Any = inspect(model, raiseerr=True).primary_key
        if [key.type.python_type for key in keys] == [int]:  # other keys may be stored differently from `row_id`
            is_orphan = col(RowVersion.row_id).not_in(select(cast(keys[0], String)))
            count += await delete_in_batches(database, RowVersion, is_of_model & is_orphan)
        if (days := model.keep_version_days) is not None:
            is_old = col(RowVersion.at) < utc_now() - timedelta(days=days)
            count += await delete_in_batches(database, RowVersion, is_of_model & is_old)
    return count
