"""Databases of 0.2: migrations replace the names of actions and events that it stored."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Connection, DateTime, MetaData, Numeric, Table, Text, insert, select
from sqlalchemy.types import JSON, Integer

from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph, plan_migrations
from opportune.db.migrations.runner import run_migrations
from opportune.project.layout import installed_features, installed_names
from opportune.testing.plugin import settings_for

VERSION_0_2 = {"accounts": "0003", "admin": "0002", "jobs": "0004", "teams": "0001"}
"""The last migrations of 0.2."""
BEFORE_RENAMING = {"accounts": "0004", "admin": "0005"}
"""Later migrations, for saved views, which 0.2 did not have."""
BLANKS = {Boolean: False, Integer: 0, Numeric: 0, DateTime: datetime(2026, 11, 24, tzinfo=UTC), JSON: {}, Text: ""}

JOBS = (
    "accounts.note_wrong_password",
    "accounts.report_mail_outage",
    "accounts.send_password_reset_email",
    "accounts.send_registration_email",
    "accounts.send_sign_in_email",
    "accounts.send_verification_email",
    "admin.report_late_jobs",
    "backups.make",
    "jobs.delete_files",
    "jobs.embed_documents",
    "jobs.embed_rows",
)
"""Jobs that 0.2 queued. Scheduled jobs are missing, because `jobs.clean_up` deletes those without a definition."""
STORED: Sequence[tuple[str, dict[str, Any], dict[str, Any]]] = (
    ("accounts_grant", {"group_id": 1, "identity": "todo", "action": "details"}, {"action": "get"}),
    ("accounts_grant", {"group_id": 1, "identity": "todo", "action": "edit"}, {"action": "update"}),
    ("accounts_grant", {"group_id": 1, "identity": "todo", "action": "action:edit"}, {"action": "action:edit"}),
    ("accounts_shipped_grant", {"group_name": "Staff", "identity": "todo", "action": "edit"}, {"action": "update"}),
    ("accounts_event", {"user_id": 1, "kind": "passkey_added"}, {"kind": "passkey_created"}),
    ("accounts_event", {"user_id": 1, "kind": "changed_by_staff"}, {"kind": "updated_by_staff"}),
    ("accounts_event", {"user_id": 1, "kind": "signed_in"}, {"kind": "signed_in"}),
    ("admin_audit_entry", {"identity": "todo", "action": "edit"}, {"action": "update"}),
    ("admin_audit_entry", {"identity": "todo", "action": "delete"}, {"action": "delete"}),
    (
        "admin_saved_view",
        {"owner_id": 1, "identity": "audit-entry", "name": "Changes", "query": "action=edit&sort=at&action=delete"},
        {"query": "action=update&sort=at&action=delete"},
    ),
    (
        "admin_saved_view",
        {"owner_id": 1, "identity": "account-event", "name": "Passkeys", "query": "x=1&kind=passkey_removed"},
        {"query": "x=1&kind=passkey_deleted"},
    ),
    (
        "admin_saved_view",
        {"owner_id": 1, "identity": "todo", "name": "Drafts", "query": "action=edit"},
        {"query": "action=edit"},
    ),
    *(("jobs_job", {"name": name, "state": "waiting"}, {"name": name}) for name in JOBS),
)
"""Table, stored values and the values after the upgrade."""


def add_row(connection: Connection, table_name: str, values: dict[str, Any]) -> None:
    """Insert a row, with blank values in its other required columns."""
    table = Table(table_name, MetaData(), autoload_with=connection)
    required = [c for c in table.columns if not (c.nullable or c.server_default or c.primary_key)]
    connection.execute(insert(table).values({**{c.name: blank_value(c) for c in required}, **values}))


def blank_value(column: Column[Any]) -> Any:
    return next((value for type_, value in BLANKS.items() if isinstance(column.type, type_)), "")


def read_values(connection: Connection) -> list[dict[str, Any]]:
    """Return the columns of each stored row that the upgrade may change."""
    rows = []
    for table_name in dict.fromkeys(name for name, _, _ in STORED):
        table = Table(table_name, MetaData(), autoload_with=connection)
        stored = [after for name, _, after in STORED if name == table_name]
        found = connection.execute(select(table).order_by(table.c.id)).mappings().all()
        rows += [{name: row[name] for name in after} for row, after in zip(found, stored, strict=True)]
    return rows


@pytest.mark.database("sqlite", "postgresql")
def test_stored_names_of_0_2_are_replaced(empty_database_url: str) -> None:
    settings = settings_for(empty_database_url)
    graph = MigrationGraph(installed_names())
    with connect(settings) as connection:
        for feature, target in VERSION_0_2.items():
            run_migrations(connection, graph, plan_migrations(graph, feature, target))
        with connection.begin():
            add_row(connection, "accounts_group", {"name": "Staff"})
            add_row(connection, "accounts_user", {"email": "ann@example.com"})
        for feature, target in BEFORE_RENAMING.items():
            run_migrations(connection, graph, plan_migrations(graph, feature, target))
        with connection.begin():
            for table_name, values, _ in STORED:
                add_row(connection, table_name, values)
        run_migrations(connection, graph)
        with connection.begin():
            assert read_values(connection) == [after for _, _, after in STORED]

        for feature, target in BEFORE_RENAMING.items():
            run_migrations(connection, graph, plan_migrations(graph, feature, target))
        with connection.begin():
            before = [{name: values[name] for name in after} for _, values, after in STORED]
            assert read_values(connection) == before


def test_jobs_queued_by_0_2_exist() -> None:
    names = {job.name for feature in installed_features() for job in feature.jobs.definitions}
    assert names >= {*JOBS}
