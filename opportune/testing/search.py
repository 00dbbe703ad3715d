"""Models that only one test makes searchable."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from opportune.db.database import Database
from opportune.db.migrations.post_migrate import run_due_statements
from opportune.search import Searchable, registry

S = TypeVar("S", bound=Searchable[Any])


async def searchable(database: Database, monkeypatch: pytest.MonkeyPatch, create: Callable[[], S]) -> S:
    """Return a searchable model and create its index in this database, as after `migrate`."""
    monkeypatch.setattr(registry, "registered", {**registry.registered})
    model = create()
    async with database.engine.begin() as connection:
        await connection.run_sync(run_due_statements)
    return model
