"""New rows are written in one statement, with their audit entries and hooks."""

from collections.abc import Mapping
from typing import Any

import pytest
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.admin.models import AuditEntry
from opportune.db import Database
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.db.hooks.registry import add_after_create, temporary_hooks
from opportune.db.sessions.insertion import insert_rows
from opportune.testing import add_permission, counted_statements
from tests.opportune.crud.api_feature import API, app
from tests.opportune.crud.library import Note, Notes, Topic
from tests.opportune.site_with import database
from tests.opportune.stored_rows import read_all

__all__ = ["app", "database"]  # fixtures: a site with the API of the library


@pytest.mark.database("sqlite", "postgresql")
async def test_new_row_needs_one_insert(librarian: AsyncClient) -> None:
    with counted_statements("library_") as statements:
        added = await librarian.post(f"{API}/notes", json={"text": "A note"})
    assert (added.status_code, added.json()["text"]) == (201, "A note")
    assert [statement.split(" (")[0] for statement in statements if "note" in statement] == ["INSERT INTO library_note"]
    assert (await librarian.get(f"{API}/notes/{added.json()['id']}")).json() == added.json()


async def test_several_rows_need_one_insert(database: Database) -> None:
    async with database.writer() as session:
        with counted_statements("library_") as statements:
            await insert_rows(session, [Topic(name="One"), Topic(name="Two")])
    assert len([statement for statement in statements if statement.startswith("INSERT")]) == 1


async def test_new_row_is_recorded_in_the_audit_log(librarian: AsyncClient, database: Database, ann: User) -> None:
    added = (await librarian.post(f"{API}/notes", json={"text": "A note"})).json()
    (entry,) = await read_all(database, AuditEntry)
    assert (entry.actor_id, entry.actor, entry.channel, entry.address) == (ann.id, ann.email, "api", "127.0.0.1")
    assert (entry.action, entry.identity, entry.row_id) == ("create", "note", str(added["id"]))
    assert entry.title == f"Note {added['id']}"


async def add_note(database: Database, user: User, *, is_by_hand: bool) -> None:
    """Add a note by the data layer, or by hand."""
    with changes_come_from(ChangeOrigin("api")):
        async with database.writer() as session:
            if is_by_hand:
                session.add(Note(owner_id=user.id, text="A note"))
            else:
                await Notes(session, user).create({"text": "A note"})


@pytest.mark.parametrize("is_by_hand", [False, True])
async def test_no_row_is_stored_without_its_audit_entry(database: Database, ann: User, is_by_hand: bool) -> None:
    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO admin_audit_entry"):
            raise ConnectionError

    with database.listened_to_by({"before_cursor_execute": fail}), pytest.raises(ConnectionError):
        await add_note(database, ann, is_by_hand=is_by_hand)
    assert await read_all(database, Note) == []


async def test_new_row_is_rolled_back_with_its_hooks(librarian: AsyncClient, database: Database) -> None:
    with temporary_hooks():

        @add_after_create(Note, Topic)
        def existing_topic(_note: Note) -> Mapping[str, Any]:
            return {"name": "Love", "is_hidden": False}

        refused = await librarian.post(f"{API}/notes", json={"text": "A note"})
    assert refused.status_code == 422
    assert (await librarian.get(f"{API}/notes")).json()["items"] == []
    assert await read_all(database, AuditEntry) == []
    assert (await librarian.post(f"{API}/notes", json={"text": "A note"})).status_code == 201


@pytest.mark.database("sqlite", "postgresql")
async def test_insert_reports_constraint_errors_by_field(librarian: AsyncClient, database: Database, ann: User) -> None:
    await add_permission(database, ann, "writer", "*")
    for name in ("One", "Two"):  # PostgreSQL's sequence does not know that these ids exist
        await librarian.post(f"{API}/writers", json={"name": name})
    for _ in range(2):
        refused = await librarian.post(f"{API}/writers", json={"name": "Jane Austen"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, ["name"])
    assert (await librarian.post(f"{API}/writers", json={"name": "Emily Brontë"})).status_code == 201
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # defined by QueuePool
