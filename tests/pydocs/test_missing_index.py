"""Pages and API before the index has been built."""

from fastapi import FastAPI
from httpx2 import AsyncClient

from app.pydocs.documents import python_docs
from opportune.testing import make_user, signed_in_client

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
SEARCH = "/api/v1/pydocs/search"
ENTRIES = "/api/v1/pydocs/entries"


async def test_api_without_index_is_503(client: AsyncClient) -> None:
    for path in (f"{SEARCH}?q=os", f"{ENTRIES}/os"):
        response = await client.get(path)
        assert response.status_code == 503
        assert response.json()["detail"]


async def test_missing_index_names_command_in_development(client: AsyncClient) -> None:
    for headers in ({}, HTMX):
        response = await client.get("/pydocs?q=os", headers=headers)
        assert response.status_code == 200
        assert python_docs.command in response.text
    entry = await client.get("/pydocs/os")
    assert entry.status_code == 503


async def test_missing_index_hides_command_in_production(app: FastAPI, client: AsyncClient) -> None:
    app.state.settings = app.state.settings.model_copy(update={"environment": "production"})
    response = await client.get("/pydocs?q=os")
    assert (response.status_code, "oppman.py" in response.text) == (200, False)
    assert "/admin/operations" not in response.text


async def test_missing_index_links_superuser_to_admin(app: FastAPI) -> None:
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as superuser:
        assert '<a href="/admin/operations">' in (await superuser.get("/pydocs")).text
