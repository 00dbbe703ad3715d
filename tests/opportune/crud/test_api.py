"""JSON API of a model: routes, permissions, error responses and OpenAPI."""

import pytest
from fastapi import FastAPI, HTTPException, Response
from httpx2 import AsyncClient
from pydantic import BaseModel
from sqlalchemy import select

from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.crud import Crud, CrudApi
from opportune.db import MAX_ID, Database
from opportune.feature import Feature
from opportune.testing import counted_statements, make_token, make_user, signed_in_client
from opportune.testing.app import create_test_app
from tests.opportune.crud.api_feature import API, EMMA, app, library_feature, make_rows, volumes
from tests.opportune.crud.library import BookStatus, Note, Notes, Volume, Volumes, VolumeTopic
from tests.opportune.security.api_faults import UserHeaders, find_crashes
from tests.opportune.site_with import database, site_with

__all__ = ["app", "database"]  # fixtures: a site with the API of the library


@pytest.mark.database("sqlite", "postgresql")
async def test_row_is_added_read_changed_and_deleted(librarian: AsyncClient, client: AsyncClient) -> None:
    added = await librarian.post(f"{API}/volumes", json={**EMMA, "published_on": "1815-12-23"})
    assert (added.status_code, added.headers["location"]) == (201, f"{API}/volumes/emma")
    empty = dict.fromkeys(("editor_id", "weight", "printed_at", "rating"))
    defaults = {"id": 1, "pages": 1, "blurb": "", "is_staff": False}
    expected = {**EMMA, **empty, **defaults, "published_on": "1815-12-23"}
    created_at = added.json()["created_at"]
    assert added.json() == expected | {"created_at": created_at}
    assert created_at.endswith("Z")
    assert (await client.get(f"{API}/volumes/emma")).json() == added.json()
    assert (await client.get(f"{API}/volumes")).json() == {"items": [added.json()], "total": 1, "page": 1, "pages": 1}
    form = {"price": "3", "printed_at": "2026-03-01T12:00:00+02:00"}
    changed = await librarian.patch(f"{API}/volumes/emma", json=form)
    assert changed.json() == added.json() | {"price": "3.00", "printed_at": "2026-03-01T10:00:00Z"}
    assert (await librarian.delete(f"{API}/volumes/emma")).status_code == 204
    assert (await client.get(f"{API}/volumes/emma")).status_code == 404


async def test_nested_relations_are_objects(librarian: AsyncClient, client: AsyncClient, database: Database) -> None:
    await librarian.post(f"{API}/volumes", json=EMMA)
    async with database.writer() as session:
        session.add(VolumeTopic(volume_id=1, topic_id=2))
        session.add(Volume(title="Hidden writer", slug="hidden-writer", writer_id=2, status=BookStatus.PUBLISHED))
    for row in ((await client.get(f"{API}/nested")).json()["items"][1], (await client.get(f"{API}/nested/1")).json()):
        assert (row["writer"], row["editor"]) == ({"id": 1, "name": "Jane Austen"}, None)
        assert row["topics"] == [{"id": 1, "name": "Love"}]
        assert not {"writer_id", "blurb", "secret_note", "is_staff"} & row.keys()
    assert (await client.get(f"{API}/nested/2")).json()["writer"] is None


async def test_permissions_and_owners(app: FastAPI, client: AsyncClient, librarian: AsyncClient, bob: User) -> None:
    assert (await client.get(f"{API}/notes")).status_code == 401
    assert (await client.post(f"{API}/volumes", json=EMMA)).status_code == 401
    async with signed_in_client(app, bob) as other_user_client:
        assert (await other_user_client.post(f"{API}/volumes", json=EMMA)).status_code == 403
        await librarian.post(f"{API}/volumes", json={**EMMA, "status": "draft"})
        assert (await other_user_client.get(f"{API}/volumes/emma")).status_code == 404
        assert (await librarian.get(f"{API}/volumes/emma")).status_code == 200
        assert (await other_user_client.patch(f"{API}/volumes/emma", json={})).status_code == 403
        note = (await librarian.post(f"{API}/notes", json={"text": "Mine"})).json()["id"]
        for method in ("GET", "PATCH", "DELETE"):
            response = await other_user_client.request(method, f"{API}/notes/{note}", json={"text": "Yours"})
            assert response.status_code == 404
        assert (await librarian.get(f"{API}/notes")).json()["total"] == 1
        assert (await other_user_client.get(f"{API}/notes")).json() == {"items": [], "total": 0, "page": 1, "pages": 1}


async def test_guarded_fields_and_yes_for_numbers_are_refused(librarian: AsyncClient) -> None:
    guarded = dict.fromkeys(("id", "created_at", "is_staff", "secret_note", "nonsense"), 1)
    for name, value in {**guarded, "writer_id": True, "pages": True, "weight": False, "topics": [True]}.items():
        response = await librarian.post(f"{API}/volumes", json={**EMMA, name: value})
        assert [error["field"][0] for error in response.json()["errors"]] == [name], response.text
    assert (await librarian.post(f"{API}/opinions", json={"volume_id": 1, "stars": 1, "user_id": 1})).status_code == 422
    assert (await librarian.get(f"{API}/volumes")).json()["total"] == 0


@pytest.mark.database("sqlite", "postgresql")
async def test_all_filters_work_in_one_query(client: AsyncClient) -> None:
    values = {"title": "Emma", "status": "draft", "published_on": "2026-01-01", "printed_at": "2026-01-01T00:00:00Z"}
    filters = {name: filter_.name for name, filter_ in Volumes.definition.filters.items()}
    params = {key: "true" if key.endswith("__isnull") else values.get(name, "1") for key, name in filters.items()}
    response = await client.get(f"{API}/volumes", params={**params, "q": 'x "y z" %', "sort": "-rating"})
    assert response.status_code == 200, response.text


async def test_statement_count_is_independent_of_rows(client: AsyncClient, librarian: AsyncClient) -> None:
    counts = []
    for round_ in range(2):
        for number in range(3):
            await librarian.post(f"{API}/volumes", json={**EMMA, "slug": f"{round_}-{number}"})
        with counted_statements("library_") as statements:
            await client.get(f"{API}/volumes?topics=1&writer=1&price__gte=0&year=2026&q=emma&sort=-rating")
            await client.get(f"{API}/volumes?sort=writer.name")
            await client.get(f"{API}/nested")
        counts.append(len(statements))
    # Each list is one statement, and one more for its topics. The first list is empty.
    assert counts == [5, 5]


async def test_list_reads_only_columns_of_the_response(client: AsyncClient) -> None:
    with counted_statements("library_") as statements:
        await client.get(f"{API}/nested")
    assert len(statements) == 1
    assert not [name for name in ("blurb", "secret_note", "api_key") if name in statements[0]]


async def test_invalid_parameters_are_refused_by_name(client: AsyncClient) -> None:
    for query in (
        *("nonsense=1", "secret_note=x", "is_staff=1", "sort=secret_note", "status=gone", "title=%00", "year=10000"),
        *("price__gte=NaN", "pages=99999999999999999999", "weight__gt=inf", "topics=1&topics=99999999999999999999"),
        *("printed_at__gte=0001-01-01T00:00:00%2B14:00", "size=1000"),
        "&".join(f"pages__in={number}" for number in range(101)),
    ):
        response = await client.get(f"{API}/volumes?{query}")
        assert response.status_code == 422, query
        fields = {error["field"][0] for error in response.json()["errors"]}
        assert fields == {query.partition("=")[0]}, query


async def test_impossible_key_is_not_found(client: AsyncClient, librarian: AsyncClient) -> None:
    for key in ("0", "x", str(MAX_ID + 1), "%00", "1_0", "01", "%D9%A3"):
        for url in ("volumes", "writers", "nested"):
            assert (await client.get(f"{API}/{url}/{key}")).status_code == 404, (url, key)
        assert (await librarian.patch(f"{API}/volumes/{key}", json={})).status_code == 404, key


async def test_openapi_describes_requests_and_responses(app: FastAPI) -> None:
    document = app.openapi()
    paths, schemas = document["paths"], document["components"]["schemas"]
    list_route = paths[f"{API}/volumes"]["get"]
    parameters = {parameter["name"] for parameter in list_route["parameters"]}
    assert {"price__gte", "topics__all", "year", "q", "sort"} < parameters
    assert list_route["responses"].keys() == {"200", "422"}
    assert paths[f"{API}/volumes"]["post"]["responses"].keys() == {"201", "401", "403", "422"}
    assert paths[f"{API}/notes/{{note_id}}"]["patch"]["responses"].keys() == {"200", "401", "403", "404", "422"}
    assert schemas["VolumeCreate"]["required"] == ["title", "slug", "writer_id"]
    assert schemas["VolumeCreate"]["properties"]["published_on"]["description"] == "The first edition."
    assert "required" not in schemas["VolumeUpdate"]
    assert "default" not in schemas["VolumeUpdate"]["properties"]["price"]
    assert "secret_note" not in schemas["VolumeRead"]["properties"]


@pytest.fixture
async def users(settings: Settings) -> UserHeaders:
    """A superuser and an anonymous visitor. Their site is stopped, because a synchronous test cannot stop it."""
    async with site_with(library_feature, settings, *make_rows()) as app:
        superuser = await make_user(app.state.database, is_superuser=True)
        return [{"Authorization": f"Bearer {await make_token(app.state.database, superuser)}"}, {}]


def test_random_requests_cause_no_server_error(settings: Settings, users: UserHeaders) -> None:
    """Volumes have fields and filters of every type, and notes are private."""
    routers = [volumes.router, CrudApi(Notes, "/notes").router]
    feature = Feature("library", "Books.", models=library_feature.models, api=routers)
    assert list(find_crashes(create_test_app(settings, [feature]), users, examples=1, with_constants=False)) == []


async def test_overridden_create_shares_the_transaction(settings: Settings) -> None:
    class Refusing(CrudApi[Note]):
        async def create(self, crud: Crud[Note], new: BaseModel) -> Response:
            await super().create(crud, new)
            raise HTTPException(418)

    feature = Feature("notes", "Notes.", models=[Note], api=Refusing(Notes, "/notes").router)
    async with site_with(feature, settings) as app:
        ann = await make_user(app.state.database)
        async with signed_in_client(app, ann) as client:
            assert (await client.post(f"{API}/notes", json={"text": "A note"})).status_code == 418
            async with app.state.database.reader() as session:
                assert (await session.scalars(select(Note))).all() == []
