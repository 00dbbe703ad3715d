"""Daily deletion of versions that are too old, or whose row no longer exists."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import String, cast, inspect, select
from sqlmodel import col

from opportune.admin.row_versions.models import RowVersion
from opportune.admin.row_versions.service import table_of
from opportune.db.database import Database
from opportune.db.models.model import tables_with, utc_now
from opportune.db.models.versioned import Versioned
from opportune.db.queries.batches import delete_in_batches
from opportune.jobs import JobContext, job


@job("admin.delete_old_versions", schedule="47 3 * * *")
async def delete_old_versions_daily(run: JobContext) -> None:
    await delete_old_versions(run.database, tables_with(Versioned))


async def delete_old_versions(database: Database, models: Iterable[type[Versioned]]) -> int:
    """Delete versions by age, and versions of rows that statements or cascades have deleted. Return their number."""
    count = 0
    for model in models:
        is_of_model = col(RowVersion.model_table) == table_of(model)
        keys: Any = inspect(model, raiseerr=True).primary_key
        if [key.type.python_type for key in keys] == [int]:  # other keys may be stored differently from `row_id`
            is_orphan = col(RowVersion.row_id).not_in(select(cast(keys[0], String)))
            count += await delete_in_batches(database, RowVersion, is_of_model & is_orphan)
        if (days := model.keep_version_days) is not None:
            is_old = col(RowVersion.at) < utc_now() - timedelta(days=days)
            count += await delete_in_batches(database, RowVersion, is_of_model & is_old)
    return count
