"""Migrated databases of tests: the cache, and models without a migration."""

import pytest
from sqlalchemy import text

from opportune.db.migrations.connection import connect
from opportune.testing import migrations
from opportune.testing.migrations import require_migrations
from opportune.testing.plugin import settings_for


@pytest.mark.parametrize(
    ("line", "is_code"),
    [
        ("from app.books.types import Isbn", True),
        ("    import app", True),
        ("from opportune.db.migrations import backfill", False),
        ("from alembic import op", False),
    ],
)
def test_migration_imports_of_changing_code(line: str, *, is_code: bool) -> None:
    assert bool(migrations.CODE_IMPORT.search(f"import os\n{line}\n")) is is_code


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DROP TABLE jobs_job", "No migration creates the table jobs_job. Run python3 oppman.py makemigrations jobs."),
        ("ALTER TABLE jobs_job RENAME COLUMN attempt TO tries", r"No migration creates the column jobs_job\.attempt\."),
    ],
)
def test_missing_migration_is_reported_with_the_next_step(database_url: str, change: str, message: str) -> None:
    with connect(settings_for(database_url)) as connection:
        require_migrations(connection, ["jobs"])
        connection.execute(text(change))
        with pytest.raises(pytest.fail.Exception, match=message) as failed:
            require_migrations(connection, ["jobs"])
    assert not failed.value.pytrace
