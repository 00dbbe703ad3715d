"""Numbers of rows beside the choices of filters."""

import re
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import Select, select
from sqlmodel import col
from starlette.requests import Request

from opportune.admin.lists import facets
from opportune.admin.views import AdminView
from opportune.testing import counted_statements
from opportune.testing.factories import add_permission, make_user, signed_in_client
from tests.opportune.admin.gadget_feature import Colour, Gadget, GadgetAdmin
from tests.opportune.stored_rows import add_rows

LIST = "/admin/gadget/list"


@pytest.fixture
async def app(app_with_gadgets: FastAPI) -> FastAPI:
    await add_rows(
        app_with_gadgets,
        *(Gadget(name=f"red {number}", maker_id=1, state="used", spare_id=2) for number in range(3)),
        Gadget(name="blue", maker_id=2, colour=Colour.DEEP_BLUE),
    )
    return app_with_gadgets


async def read_counts(client: AsyncClient, query: str = "") -> dict[str, str]:
    """Return the counts by parameter and value: `{"colour=red": "3"}`."""
    page = unescape((await client.get(f"{LIST}?_facets=1&{query}" if query else f"{LIST}?_facets=1")).text)
    choices = re.findall(r'name="(\w+)" value="(\w+)"[^>]*><span[^>]*>[^<]*<span class="facet">([^<]*)<', page)
    return {f"{name}={value}": count for name, value, count in choices}


@pytest.mark.database("sqlite", "postgresql")
async def test_choices_have_counts(admin: AsyncClient) -> None:
    counts = await read_counts(admin)
    assert counts.items() >= {"colour=red": "3", "colour=deep_blue": "1", "state=new": "1", "state=used": "3"}.items()


@pytest.mark.database("sqlite", "postgresql")
async def test_frequent_references_have_counts(admin: AsyncClient) -> None:
    counts = await read_counts(admin)
    assert {name: count for name, count in counts.items() if "_id" in name} == {
        "maker_id=1": "3",
        "maker_id=2": "1",
        "spare_id=2": "3",
    }


@pytest.mark.database("sqlite", "postgresql")
async def test_yes_and_no_have_counts(admin: AsyncClient) -> None:
    page = (await admin.get("/admin/user/list?_facets=1")).text
    counts = re.findall(r'name="is_superuser" value="(\w+)"[^>]*><span[^>]*>[^<]*<span class="facet">([^<]*)<', page)
    assert counts == [("true", "1"), ("false", "0")]


@pytest.mark.database("sqlite", "postgresql")
async def test_counts_respect_search_and_other_filters(admin: AsyncClient) -> None:
    assert (await read_counts(admin, "search=red+1"))["colour=red"] == "1"
    counts = await read_counts(admin, "maker_id=1&colour=red")
    assert counts.items() >= {"colour=red": "3", "colour=deep_blue": "0", "state=new": "0", "state=used": "3"}.items()


@pytest.mark.database("sqlite", "postgresql")
async def test_counts_respect_list_query(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def list_query(_view: AdminView, _request: Request) -> Select[Any]:
        return select(Gadget).where(col(Gadget.name) != "red 0")

    monkeypatch.setattr(GadgetAdmin, "list_query", list_query)
    assert (await read_counts(admin))["colour=red"] == "2"


@pytest.mark.database("sqlite", "postgresql")
async def test_large_counts_are_rounded_down(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facets, "MAX_COUNT", 2)
    assert (await read_counts(admin))["colour=red"] == "2+"


@pytest.mark.database("sqlite", "postgresql")
async def test_counts_of_large_lists_are_minimums(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facets, "MAX_READ_ROWS", 2)
    counts = await read_counts(admin, "colour=red")
    assert (counts["state=used"], "state=new" in counts) == ("3+", False)


async def test_titles_of_hidden_rows_are_not_shown(app: FastAPI) -> None:
    user = await make_user(app.state.database, "staff@example.com", is_staff=True)
    await add_permission(app.state.database, user, "gadget", "list")
    async with signed_in_client(app, user) as client:
        counts = await read_counts(client)
    assert [name for name in counts if "_id" in name] == []
    assert counts["colour=red"] == "3"


async def test_list_counts_choices_only_on_request(admin: AsyncClient) -> None:
    await admin.get(LIST)
    with counted_statements("test_gadget") as statements:
        page = (await admin.get(LIST)).text
    assert (len(statements), "Show counts" in page, 'class="facet"' in page) == (1, True, False)


async def test_counts_are_no_part_of_a_saved_view(admin: AsyncClient) -> None:
    assert "Save view" not in (await admin.get(f"{LIST}?_facets=1")).text
