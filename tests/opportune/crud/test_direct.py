"""Lists and inserts that skip FastAPI's dependency resolution and the ORM."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import User
from opportune.admin.models import AuditEntry
from opportune.config import speedups
from opportune.config.settings import Settings
from opportune.crud import Crud
from opportune.crud.dependencies import is_single_insert
from opportune.db import Database, after_create
from opportune.db import database as database_module
from opportune.db.hooks.registry import add_after_create, temporary_hooks
from opportune.errors import FieldErrors
from opportune.testing import grant
from opportune.testing.app import create_test_app
from tests.opportune.crud.api_feature import API, EMMA, library_feature, library_site
from tests.opportune.crud.library import Note, Topic, Writer


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with library_site(settings) as app:
        yield app


@pytest.fixture
async def database(app: FastAPI) -> Database:
    database: Database = app.state.database
    return database


LIST_QUERIES = [
    "",
    "?page=2&size=1",
    "?size=",
    "?q=emma&writer=1&title__icontains=e&price__gte=3&price__in=3&price__in=12.50&topics=1&topics=&sort=-price",
    "?sort=title&sort=price",
    "?writer=0",
    "?page=0",
    "?price=x",
    "?nothing=1",
    "?q=a%00b",
]


async def test_direct_list_responds_like_fastapi(app: FastAPI, librarian: AsyncClient, client: AsyncClient) -> None:
    await librarian.post(f"{API}/volumes", json=EMMA)
    for query in LIST_QUERIES:
        direct = await client.get(f"{API}/volumes{query}")
        with without_direct_routes(app):
            expected = await client.get(f"{API}/volumes{query}")
        assert (direct.status_code, direct.json()) == (expected.status_code, expected.json()), query


INSERT_BODIES = [
    (b"", "application/json"),
    (b"{", "application/json"),
    (b"\xff", "application/json"),
    (b"[]", "application/json"),
    (b"[" * 100_000, "application/json"),
    (b'{"text": NaN}', "application/json"),
    (b'{"text": "A note", "owner_id": 1}', "application/json"),
    (b'{"text": "A note"}', "text/plain"),
    (b'{"text": "A note"}', "application/json; charset=utf-8"),
    (b'{"text": "A note"}', "application/json"),
]


async def test_direct_insert_responds_like_fastapi(app: FastAPI, librarian: AsyncClient) -> None:
    for body, content_type in INSERT_BODIES:
        headers = {"Content-Type": content_type}
        responses = [await librarian.post(f"{API}/notes", content=body, headers=headers)]
        with without_direct_routes(app):
            responses.append(await librarian.post(f"{API}/notes", content=body, headers=headers))
        direct, expected = (
            {"status": response.status_code, **response.json(), "id": 0, "created_at": ""} for response in responses
        )
        assert direct == expected, (body[:40], content_type)


@pytest.mark.skipif(not speedups.are_on(), reason="SPEEDUPS=off")
async def test_lists_and_inserts_are_direct(librarian: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_if_fastapi_resolves(monkeypatch)
    assert (await librarian.get(f"{API}/volumes?page=2&writer=1")).status_code == 200
    assert (await librarian.post(f"{API}/volumes", json=EMMA)).status_code == 201


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.skipif(not speedups.are_on(), reason="SPEEDUPS=off")
async def test_new_row_of_one_table_is_a_single_insert(librarian: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Crud, "add", fail_if_called)
    added = await librarian.post(f"{API}/notes", json={"text": "A note"})
    assert (added.status_code, added.json()["text"]) == (201, "A note")
    read = await librarian.get(f"{API}/notes/{added.json()['id']}")
    assert read.json() == added.json()


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.skipif(not speedups.are_on(), reason="SPEEDUPS=off")
async def test_direct_insert_is_recorded_in_the_audit_log(
    librarian: AsyncClient, database: Database, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Crud, "add", fail_if_called)
    added = (await librarian.post(f"{API}/notes", json={"text": "A note"})).json()
    (entry,) = await read_audit_entries(database)
    assert (entry.actor_id, entry.actor, entry.channel, entry.address) == (ann.id, ann.email, "api", "127.0.0.1")
    assert (entry.action, entry.identity, entry.row_id) == ("create", "note", str(added["id"]))
    assert entry.title == f"Note {added['id']}"


@pytest.mark.database("sqlite", "postgresql")
async def test_direct_insert_records_the_same_as_the_orm(
    librarian: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for has_listeners in (False, True):
        monkeypatch.setattr(database_module, "has_session_listeners", lambda has_listeners=has_listeners: has_listeners)
        await librarian.post(f"{API}/notes", json={"text": "A note"})
    direct, expected = (
        entry.model_dump(exclude={"id", "at", "row_id", "title"}) for entry in await read_audit_entries(database)
    )
    assert direct == expected


@pytest.mark.database("sqlite", "postgresql")
async def test_direct_insert_is_rolled_back_with_its_hooks(librarian: AsyncClient, database: Database) -> None:
    with temporary_hooks():

        @add_after_create(Note, Topic)
        def existing_topic(_note: Note) -> Mapping[str, Any]:
            return {"name": "Love", "is_hidden": False}

        refused = await librarian.post(f"{API}/notes", json={"text": "A note"})
    assert refused.status_code == 422
    assert (await librarian.get(f"{API}/notes")).json()["items"] == []
    assert await read_audit_entries(database) == []
    assert (await librarian.post(f"{API}/notes", json={"text": "A note"})).status_code == 201


async def read_audit_entries(database: Database) -> list[AuditEntry]:
    async with database.reader(fresh=True) as session:
        entries = select(AuditEntry).where(col(AuditEntry.identity) == "note").order_by(col(AuditEntry.id))
        return list(await session.scalars(entries))


async def fail_if_called(*_: Any) -> None:
    raise AssertionError


@pytest.mark.database("sqlite", "postgresql")
async def test_direct_insert_reports_constraint_errors_by_field(
    app: FastAPI, librarian: AsyncClient, database: Database, ann: User
) -> None:
    await grant(database, ann, "writer", "*")
    for name in ("One", "Two"):  # PostgreSQL's sequence does not know that these ids exist
        await librarian.post(f"{API}/writers", json={"name": name})
    for _ in range(2):
        refused = await librarian.post(f"{API}/writers", json={"name": "Jane Austen"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, ["name"])
    added = await librarian.post(f"{API}/writers", json={"name": "Emily Brontë"})
    assert added.status_code == 201
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # defined by QueuePool


async def test_hook_can_refuse_a_direct_insert(librarian: AsyncClient, database: Database, ann: User) -> None:
    await grant(database, ann, "writer", "*")
    with temporary_hooks():

        @after_create(Writer)
        async def refuse(_session: AsyncSession, writer: Writer) -> None:
            raise FieldErrors({"name": f"Not {writer.name}."})

        assert (await librarian.post(f"{API}/writers", json={"name": "Anonymous"})).status_code == 422
    assert len((await librarian.get(f"{API}/writers")).json()["items"]) == 2


def test_attribute_listener_disables_single_insert() -> None:
    class PlainNotes(Crud[Note]):
        owner = "owner_id"

    class ListenedNotes(PlainNotes):
        pass

    def shorten(_row: Note, value: str, *_: Any) -> str:
        return value[:5]

    assert is_single_insert(PlainNotes)
    event.listen(Note.text, "set", shorten, retval=True)
    assert not is_single_insert(ListenedNotes)
    event.remove(Note.text, "set", shorten)


async def test_fastapi_responds_with_speedups_off(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speedups, "are_on", lambda: False)
    app = create_test_app(settings, [library_feature])
    fail_if_fastapi_resolves(monkeypatch)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client:
        assert (await client.get(f"{API}/volumes")).status_code == 500


def fail_if_fastapi_resolves(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(**_options: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("fastapi.routing.solve_dependencies", refuse)


@contextmanager
def without_direct_routes(app: FastAPI) -> Iterator[None]:
    """Let FastAPI handle all requests, as it does if a dependency is overridden."""
    app.dependency_overrides[without_direct_routes] = without_direct_routes
    yield
    app.dependency_overrides.clear()
