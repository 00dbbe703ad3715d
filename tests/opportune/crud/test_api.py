from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Response
from httpx import ASGITransport, AsyncClient
from pydantic import BaseModel
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import User
from opportune.admin.models import AuditEntry
from opportune.config import speedups
from opportune.config.settings import Settings
from opportune.crud import Access, Crud, CrudApi
from opportune.crud.direct import is_single_insert
from opportune.db import MAX_ID, Database, after_create
from opportune.db import database as database_module
from opportune.db.hooks.registry import add_after_create, temporary_hooks
from opportune.errors import FieldErrors
from opportune.feature import Feature
from opportune.testing import grant, make_token, make_user, signed_in_client
from opportune.testing.quiet_app import quiet_app
from tests.opportune.crud.library import (
    BookStatus,
    LibraryTable,
    Note,
    Notes,
    Opinion,
    Opinions,
    Topic,
    Volume,
    Volumes,
    VolumeTopic,
    Writer,
    Writers,
)
from tests.opportune.security.api_faults import People, faults
from tests.opportune.site_with import site_with

API = "/api/v1"
EMMA = {"title": "Emma", "slug": "emma", "writer_id": 1, "price": "12.50", "status": "published", "topics": [1]}


class NestedVolumes(Crud[Volume]):
    read_access = Access.ANYONE
    nested = ("writer", "editor", "topics")
    exclude = ("blurb", "is_staff")


volumes = CrudApi(Volumes, "/volumes")


@volumes.router.get("/numbers")
async def numbers() -> list[int]:
    return [1, 2]


library_feature = Feature(
    name="library",
    summary="Books.",
    models=[Writer, Topic, Volume, VolumeTopic, Opinion, Note],
    api=[
        CrudApi(Writers, "/writers").router,
        volumes.router,
        CrudApi(NestedVolumes, "/nested", without=("add", "update", "delete")).router,
        CrudApi(Opinions, "/opinions").router,
        CrudApi(Notes, "/notes").router,
    ],
)


@asynccontextmanager
async def library_site(settings: Settings) -> AsyncIterator[FastAPI]:
    """The site with the library's API, two writers and two topics, one of each hidden."""
    async with site_with(library_feature, LibraryTable.metadata, settings) as app:
        database: Database = app.state.database
        async with database.writer() as session:
            session.add_all([Writer(id=1, name="Jane Austen", api_key="k3y"), Writer(id=2, name="No", is_hidden=True)])
            session.add_all([Topic(id=1, name="Love"), Topic(id=2, name="Hidden", is_hidden=True)])
        yield app


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with library_site(settings) as app:
        yield app


@pytest.fixture
async def database(app: FastAPI) -> Database:
    database: Database = app.state.database
    return database


@pytest.fixture
async def librarian(app: FastAPI, database: Database, ann: User) -> AsyncIterator[AsyncClient]:
    await grant(database, ann, "volume", "*")
    async with signed_in_client(app, ann) as client:
        yield client


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the rows meanwhile."""
    asked: list[str] = []

    def note(*arguments: Any) -> None:
        asked.extend([arguments[2]] if "library_" in arguments[2] else [])

    engines = [database.engine.sync_engine, database.reading_engine.sync_engine]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield asked
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


async def test_a_row_is_added_read_changed_and_deleted(librarian: AsyncClient, client: AsyncClient) -> None:
    added = await librarian.post(f"{API}/volumes", json={**EMMA, "published_on": "1815-12-23"})
    assert added.status_code == 201
    shown = {
        **EMMA,
        "id": 1,
        "editor_id": None,
        "pages": 1,
        "weight": None,
        "published_on": "1815-12-23",
        "printed_at": None,
        "blurb": "",
        "is_staff": False,
        "rating": None,
    }
    moment = added.json()["created_at"]
    assert added.json() == shown | {"created_at": moment}
    assert moment.endswith("Z")
    assert (await client.get(f"{API}/volumes/emma")).json() == added.json()
    assert (await client.get(f"{API}/volumes")).json() == {"items": [added.json()], "total": 1, "page": 1, "pages": 1}
    changed = await librarian.patch(
        f"{API}/volumes/emma", json={"price": "3", "printed_at": "2026-03-01T12:00:00+02:00"}
    )
    assert changed.json() == added.json() | {"price": "3.00", "printed_at": "2026-03-01T10:00:00Z"}
    assert (await librarian.delete(f"{API}/volumes/emma")).status_code == 204
    assert (await client.get(f"{API}/volumes/emma")).status_code == 404


@pytest.mark.database("sqlite")
async def test_what_is_pointed_at_is_answered_as_objects(
    librarian: AsyncClient, client: AsyncClient, database: Database
) -> None:
    await librarian.post(f"{API}/volumes", json=EMMA)
    async with database.writer() as session:
        session.add(VolumeTopic(volume_id=1, topic_id=2))
        session.add(Volume(title="Of nobody", slug="nobody", writer_id=2, status=BookStatus.PUBLISHED))
    for found in ((await client.get(f"{API}/nested")).json()["items"][1], (await client.get(f"{API}/nested/1")).json()):
        assert (found["writer"], found["editor"]) == ({"id": 1, "name": "Jane Austen"}, None)
        assert found["topics"] == [{"id": 1, "name": "Love"}]
        assert not {"writer_id", "blurb", "secret_note", "is_staff"} & found.keys()
    assert (await client.get(f"{API}/nested/2")).json()["writer"] is None


@pytest.mark.database("sqlite")
async def test_who_may_not_is_told_so(app: FastAPI, client: AsyncClient, librarian: AsyncClient, bob: User) -> None:
    assert (await client.get(f"{API}/notes")).status_code == 401
    assert (await client.post(f"{API}/volumes", json=EMMA)).status_code == 401
    async with signed_in_client(app, bob) as bobs:
        assert (await bobs.post(f"{API}/volumes", json=EMMA)).status_code == 403
        await librarian.post(f"{API}/volumes", json={**EMMA, "status": "draft"})
        assert (await bobs.get(f"{API}/volumes/emma")).status_code == 404
        assert (await librarian.get(f"{API}/volumes/emma")).status_code == 200
        assert (await bobs.patch(f"{API}/volumes/emma", json={})).status_code == 403
        note = (await librarian.post(f"{API}/notes", json={"text": "Mine"})).json()["id"]
        for method in ("GET", "PATCH", "DELETE"):
            response = await bobs.request(method, f"{API}/notes/{note}", json={"text": "Yours"})
            assert response.status_code == 404
        assert (await librarian.get(f"{API}/notes")).json()["total"] == 1
        assert (await bobs.get(f"{API}/notes")).json() == {"items": [], "total": 0, "page": 1, "pages": 1}


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("address", ["volumes", "opinions"])
async def test_what_nobody_may_write_is_refused_by_name(librarian: AsyncClient, address: str) -> None:
    for name in ("id", "user_id", "is_superuser", "created_at", "is_staff", "secret_note", "nonsense"):
        response = await librarian.post(f"{API}/{address}", json={**(EMMA if address == "volumes" else {}), name: 1})
        assert response.status_code == 422, name
        assert [name] in [error["field"] for error in response.json()["errors"]]
        assert (await librarian.get(f"{API}/{address}")).json()["total"] == 0, name


async def test_each_filter_can_be_asked_of_either_database(client: AsyncClient) -> None:
    """All at once: what a database cannot be asked is an error in any company."""
    values = {"title": "Emma", "status": "draft", "published_on": "2026-01-01", "printed_at": "2026-01-01T00:00:00Z"}
    asked = {
        name: "true" if name.endswith("__isnull") else values.get(found.name, "1")
        for name, found in Volumes.definition.filters.items()
    }
    response = await client.get(f"{API}/volumes", params={**asked, "q": 'x "y z" %', "sort": "-rating"})
    assert response.status_code == 200, response.text


@pytest.mark.database("sqlite")
async def test_what_the_database_refuses_is_told_by_field(librarian: AsyncClient) -> None:
    await librarian.post(f"{API}/volumes", json=EMMA)
    for wrong, field in (
        ({}, "slug"),
        ({"slug": "x", "pages": 0}, "pages"),
        ({"slug": "x", "writer_id": 2**62}, "writer_id"),
    ):
        response = await librarian.post(f"{API}/volumes", json={**EMMA, **wrong})
        assert response.status_code == 422
        assert [error["field"] for error in response.json()["errors"]] == [[field]]


@pytest.mark.database("sqlite")
async def test_more_rows_and_more_relations_are_no_more_statements(
    client: AsyncClient, librarian: AsyncClient, database: Database
) -> None:
    counts = []
    for number in range(2):
        for one in range(3):
            await librarian.post(f"{API}/volumes", json={**EMMA, "slug": f"{number}-{one}"})
        with statements(database) as asked:
            await client.get(f"{API}/volumes?topics=1&writer=1&price__gte=0&year=2026&q=emma&sort=-rating")
            await client.get(f"{API}/volumes?sort=writer.name")
            await client.get(f"{API}/nested")
        counts.append(len(asked))
    # The rows with their count and averages, and the topics; the first finds nothing.
    assert counts == [5, 5]


@pytest.mark.database("sqlite")
async def test_what_cannot_be_asked_of_a_list_is_refused_with_the_field_and_a_key_that_no_row_can_have_is_not_found(
    client: AsyncClient, database: Database, librarian: AsyncClient
) -> None:
    with statements(database) as asked:
        await client.get(f"{API}/nested")
    assert len(asked) == 1
    assert not [name for name in ("blurb", "secret_note", "api_key") if name in asked[0]]

    for query, field in (
        ("nonsense=1", "nonsense"),
        ("secret_note=x", "secret_note"),
        ("is_staff=1", "is_staff"),
        ("price__near=1", "price__near"),
        ("price__gte=cheap", "price__gte"),
        ("price__gte=NaN", "price__gte"),
        ("pages=99999999999999999999", "pages"),
        ("weight__gt=inf", "weight__gt"),
        ("writer=0", "writer"),
        ("topics=1&topics=99999999999999999999", "topics"),
        ("sort=secret_note", "sort"),
        ("sort=writer", "sort"),
        ("status=gone", "status"),
        ("title=%00", "title"),
        ("year=99999999999999999999", "year"),
        ("printed_at__gte=0001-01-01T00:00:00%2B14:00", "printed_at__gte"),
        ("page=0", "page"),
        ("size=1000", "size"),
        ("&".join(f"pages__in={number}" for number in range(101)), "pages__in"),
    ):
        response = await client.get(f"{API}/volumes?{query}")
        assert response.status_code == 422, query
        assert {error["field"][0] for error in response.json()["errors"]} == {field}, query

    assert (await client.get(f"{API}/volumes/numbers")).json() == [1, 2]
    assert (await client.delete(f"{API}/nested/1")).status_code == 405

    for key in ("0", "-1", "x", str(MAX_ID + 1), "%00", "1%0a", "%201", "+1", "0_1"):
        for address in ("volumes", "writers", "nested"):
            assert (await client.get(f"{API}/{address}/{key}")).status_code == 404, (address, key)
        assert (await librarian.patch(f"{API}/volumes/{key}", json={})).status_code == 404, key


@pytest.mark.database("sqlite")
async def test_the_description_says_what_is_sent_and_answered(app: FastAPI) -> None:
    document = app.openapi()
    paths, schemas = document["paths"], document["components"]["schemas"]
    listed = paths[f"{API}/volumes"]["get"]
    assert {"price__gte", "topics__all", "year", "q", "sort"} < {each["name"] for each in listed["parameters"]}
    assert listed["responses"].keys() == {"200", "422"}
    assert paths[f"{API}/volumes"]["post"]["responses"].keys() == {"201", "401", "403", "422"}
    assert paths[f"{API}/notes/{{note_id}}"]["patch"]["responses"].keys() == {"200", "401", "403", "404", "422"}
    assert schemas["VolumeCreate"]["required"] == ["title", "slug", "writer_id"]
    assert schemas["VolumeCreate"]["properties"]["published_on"]["description"] == "The first edition."
    assert "required" not in schemas["VolumeUpdate"]
    assert "default" not in schemas["VolumeUpdate"]["properties"]["price"]
    assert "secret_note" not in schemas["VolumeRead"]["properties"]


@pytest.fixture
async def people(settings: Settings) -> People:
    """A superuser, and nobody. Their site has ended: a test that is no coroutine would stop it amid a transaction."""
    async with library_site(settings) as app:
        root = await make_user(app.state.database, is_superuser=True)
        return [{"Authorization": f"Bearer {await make_token(app.state.database, root)}"}, {}]


@pytest.mark.database("sqlite")
def test_nothing_that_the_description_leads_to_is_a_crash(settings: Settings, people: People) -> None:
    """Of volumes, which have fields and filters of every type, and notes, which are private."""
    walked = Feature(
        name="library",
        summary="Books.",
        models=library_feature.models,
        api=[volumes.router, CrudApi(Notes, "/notes").router],
    )
    assert list(faults(quiet_app(settings, [walked]), people, examples=2, with_constants=False)) == []


QUERIES = [
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


@pytest.mark.database("sqlite")
async def test_the_short_ways_to_a_list_and_a_new_row_answer_as_fastapi(
    app: FastAPI, librarian: AsyncClient, client: AsyncClient
) -> None:
    await librarian.post(f"{API}/volumes", json=EMMA)
    for query in QUERIES:
        short = await client.get(f"{API}/volumes{query}")
        with long_way(app):
            usual = await client.get(f"{API}/volumes{query}")
        assert (short.status_code, short.json()) == (usual.status_code, usual.json()), query

    for body, kind in BODIES:
        answers = [await librarian.post(f"{API}/notes", content=body, headers={"Content-Type": kind})]
        with long_way(app):
            answers.append(await librarian.post(f"{API}/notes", content=body, headers={"Content-Type": kind}))
        ours, fastapis = ({"status": each.status_code, **each.json(), "id": 0, "created_at": ""} for each in answers)
        assert ours == fastapis, (body[:40], kind)


BODIES = [
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


@pytest.mark.database("sqlite")
@pytest.mark.skipif(not speedups.are_on(), reason="SPEEDUPS=off")
async def test_lists_and_new_rows_take_the_short_way(librarian: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_fastapi(monkeypatch)
    assert (await librarian.get(f"{API}/volumes?page=2&writer=1")).status_code == 200
    assert (await librarian.post(f"{API}/volumes", json=EMMA)).status_code == 201


@pytest.mark.skipif(not speedups.are_on(), reason="SPEEDUPS=off")
async def test_a_new_row_of_one_table_is_single_insert(librarian: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Crud, "add", refuse_work)
    added = await librarian.post(f"{API}/notes", json={"text": "A note"})
    assert (added.status_code, added.json()["text"]) == (201, "A note")
    read = await librarian.get(f"{API}/notes/{added.json()['id']}")
    assert read.json() == added.json()


@pytest.mark.skipif(not speedups.are_on(), reason="SPEEDUPS=off")
async def test_direct_insert_records_who_how_and_what(
    librarian: AsyncClient, database: Database, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Crud, "add", refuse_work)
    added = (await librarian.post(f"{API}/notes", json={"text": "A note"})).json()
    (entry,) = await audit_entries(database)
    assert (entry.actor_id, entry.actor, entry.channel, entry.address) == (ann.id, ann.email, "api", "127.0.0.1")
    assert (entry.action, entry.identity, entry.row_id) == ("create", "note", str(added["id"]))
    assert entry.title == f"Note {added['id']}"


async def test_direct_insert_records_the_same_as_the_orm(
    librarian: AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for is_watched in (False, True):
        monkeypatch.setattr(database_module, "is_watched", lambda is_watched=is_watched: is_watched)
        await librarian.post(f"{API}/notes", json={"text": "A note"})
    direct, usual = (
        entry.model_dump(exclude={"id", "at", "row_id", "title"}) for entry in await audit_entries(database)
    )
    assert direct == usual


async def test_direct_insert_is_undone_with_a_refused_entry(librarian: AsyncClient, database: Database) -> None:
    with temporary_hooks():

        @add_after_create(Note, Topic)
        def existing_topic(_note: Note) -> Mapping[str, Any]:
            return {"name": "Love", "is_hidden": False}

        refused = await librarian.post(f"{API}/notes", json={"text": "A note"})
    assert refused.status_code == 422
    assert (await librarian.get(f"{API}/notes")).json()["items"] == []
    assert await audit_entries(database) == []
    assert (await librarian.post(f"{API}/notes", json={"text": "A note"})).status_code == 201


async def audit_entries(database: Database) -> list[AuditEntry]:
    async with database.reader(fresh=True) as session:
        entries = select(AuditEntry).where(col(AuditEntry.identity) == "note").order_by(col(AuditEntry.id))
        return list(await session.scalars(entries))


async def refuse_work(*_: Any) -> None:
    raise AssertionError


async def test_what_the_database_refuses_of_one_statement_is_of_the_field(
    app: FastAPI, librarian: AsyncClient, database: Database, ann: User
) -> None:
    await grant(database, ann, "writer", "*")
    for name in ("One", "Two"):  # PostgreSQL does not know that these numbers are taken
        await librarian.post(f"{API}/writers", json={"name": name})
    for _ in range(2):
        refused = await librarian.post(f"{API}/writers", json={"name": "Jane Austen"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, ["name"])
    added = await librarian.post(f"{API}/writers", json={"name": "Emily Brontë"})
    assert added.status_code == 201
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a queue has it


@pytest.mark.database("sqlite")
async def test_hooks_are_told_of_a_new_row_and_may_refuse_it(
    librarian: AsyncClient, database: Database, ann: User
) -> None:
    await grant(database, ann, "writer", "*")
    with temporary_hooks():

        @after_create(Writer)
        async def refuse(_session: AsyncSession, writer: Writer) -> None:
            raise FieldErrors({"name": f"Not {writer.name}."})

        assert (await librarian.post(f"{API}/writers", json={"name": "Anonymous"})).status_code == 422
    assert len((await librarian.get(f"{API}/writers")).json()["items"]) == 2


def test_who_listens_to_a_model_hears_of_each_row() -> None:
    class Plain(Crud[Note]):
        owner = "owner_id"

    class Heard(Plain):
        pass

    def shorten(_row: Note, value: str, *_: Any) -> str:
        return value[:5]

    assert is_single_insert(Plain)
    event.listen(Note.text, "set", shorten, retval=True)
    assert not is_single_insert(Heard)
    event.remove(Note.text, "set", shorten)


@pytest.mark.database("sqlite")
async def test_an_add_of_their_own_is_one_transaction_with_the_row(settings: Settings) -> None:
    class Refusing(CrudApi[Note]):
        async def add(self, crud: Crud[Note], new: BaseModel) -> Response:
            await super().add(crud, new)
            raise HTTPException(418)

    own = Feature(name="own", summary="Notes.", models=[Note], api=Refusing(Notes, "/own").router)
    async with site_with(own, LibraryTable.metadata, settings) as app:
        ann = await make_user(app.state.database)
        async with signed_in_client(app, ann) as client:
            assert (await client.post(f"{API}/own", json={"text": "A note"})).status_code == 418
            async with app.state.database.reader() as session:
                assert (await session.scalars(select(Note))).all() == []


@pytest.mark.database("sqlite")
async def test_without_speed_ups_fastapi_answers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speedups, "are_on", lambda: False)
    app = quiet_app(settings, [library_feature])
    refuse_fastapi(monkeypatch)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client:
        assert (await client.get(f"{API}/volumes")).status_code == 500


def refuse_fastapi(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(**_options: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("fastapi.routing.solve_dependencies", refuse)


@pytest.mark.database("sqlite")
async def test_what_is_put_around_a_route_runs_before_it(settings: Settings) -> None:
    async def refuse() -> None:
        raise HTTPException(418)

    guarded = APIRouter(dependencies=[Depends(refuse)])
    guarded.include_router(CrudApi(NestedVolumes, "/guarded").router)
    around = Feature(name="around", summary="Guards.", models=[Volume], api=guarded)
    app = quiet_app(settings, [around])
    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as guarded_client:
        assert (await guarded_client.get(f"{API}/guarded")).status_code == 418


@contextmanager
def long_way(app: FastAPI) -> Iterator[None]:
    """Have FastAPI answer: it does where a dependency is replaced."""
    app.dependency_overrides[long_way] = long_way
    yield
    app.dependency_overrides.clear()
