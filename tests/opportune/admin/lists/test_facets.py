"""Numbers of rows beside the choices of filters."""

import re
from collections.abc import Iterable
from html import unescape

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import SQLModel, col

from opportune.testing import counted_statements, signed_in_client
from tests.opportune.admin.gadget_feature import Colour, Gadget, GadgetAdmin, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import make_staff

LIST = "/admin/gadget/list"


def make_rows() -> Iterable[SQLModel]:
    reds = (Gadget(name=f"red {number}", maker_id=1, state="used", spare_id=2) for number in range(3))
    return *make_makers(), *reds, Gadget(name="blue", maker_id=2, colour=Colour.DEEP_BLUE)


app = site_fixture(gadgets, make_rows)


async def read_counts(client: AsyncClient, query: str = "", url: str = LIST) -> dict[str, str]:
    """Return the counts by parameter and value: `{"colour=red": "3"}`."""
    page = unescape((await client.get(f"{url}?_facets=1&{query}".removesuffix("&"))).text)
    choices = re.findall(r'name="(\w+)" value="(\w+)"[^>]*><span[^>]*>[^<]*<span class="facet">([^<]*)<', page)
    return {f"{name}={value}": count for name, value, count in choices}


@pytest.mark.database("sqlite", "postgresql")
async def test_choices_have_counts(admin: AsyncClient) -> None:
    choices = {"colour=red": "3", "colour=deep_blue": "1", "state=new": "1", "state=used": "3"}
    references = {"maker_id=1": "3", "maker_id=2": "1", "spare_id=2": "3"}
    assert await read_counts(admin) == choices | references
    users = await read_counts(admin, url="/admin/user/list")
    assert (users["is_superuser=true"], users["is_superuser=false"]) == ("1", "0")
    assert (await read_counts(admin, "search=red+1"))["colour=red"] == "1"
    counts = await read_counts(admin, "maker_id=1&colour=red")
    assert counts.items() >= {"colour=red": "3", "colour=deep_blue": "0", "state=new": "0", "state=used": "3"}.items()


async def test_counts_respect_list_query(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GadgetAdmin, "list_query", lambda *_: select(Gadget).where(col(Gadget.name) != "red 0"))
    assert (await read_counts(admin))["colour=red"] == "2"


async def test_titles_of_hidden_rows_are_not_shown(app: FastAPI) -> None:
    async with signed_in_client(app, await make_staff(app, "gadget.list")) as client:
        counts = await read_counts(client)
    assert [name for name in counts if "_id" in name] == []
    assert counts["colour=red"] == "3"


async def test_list_counts_choices_only_on_request(admin: AsyncClient) -> None:
    await admin.get(LIST)
    with counted_statements("test_gadget") as statements:
        page = (await admin.get(LIST)).text
    assert (len(statements), "Show counts" in page, 'class="facet"' in page) == (1, True, False)
    assert "Save view" not in (await admin.get(f"{LIST}?_facets=1")).text
