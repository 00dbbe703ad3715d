"""URLs of lists contain only the parameters that are set."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from tests.opportune.admin.gadget_feature import GadgetAdmin

LIST = "/admin/gadget/list"


@pytest.fixture
def app(app_with_gadgets: FastAPI) -> FastAPI:
    return app_with_gadgets


CLEAN_QUERIES = (
    ("search=&state=&size__gte=&seen_at_op=&maker_id=", ""),
    ("search=+&state=new", "?state=new"),
    ("state_op=not&search=door", "?search=door"),
    ("maker_id=1&maker_id=1", "?maker_id=1"),
    ("seen_at_op=today&seen_at__gte=2026-01-01", "?seen_at_op=today"),
    ("spare_id_op=empty&spare_id=1", "?spare_id_op=empty"),
    ("size_op=&size=3", ""),
    ("size_op=&size__gte=3", "?size__gte=3"),
)


async def test_list_redirects_to_its_clean_url(admin: AsyncClient) -> None:
    for query, clean_query in CLEAN_QUERIES:
        response = await admin.get(f"{LIST}?{query}")
        assert (response.status_code, response.headers["location"]) == (303, f"{LIST}{clean_query}"), query


@pytest.mark.language("de")
async def test_clean_url_has_machine_formats(admin: AsyncClient, language: str) -> None:
    response = await admin.get(f"{LIST}?size__gte=1.234&made_on__lte=31.12.2026&seen_at__gte=31.12.2026+18:30")
    clean_query = "size__gte=1234&made_on__lte=2026-12-31&seen_at__gte=2026-12-31T18%3A30"
    assert response.headers["location"] == f"{LIST}?{clean_query}"


@pytest.mark.language("de")
async def test_wrong_date_is_shown_unchanged(admin: AsyncClient, language: str) -> None:
    page = await admin.get(f"{LIST}?made_on__lte=31.2.2026")
    assert 'name="made_on__lte" type="text" value="31.2.2026"' in page.text


async def test_clean_url_is_not_redirected(admin: AsyncClient) -> None:
    for query in ("", "size=3&size_op=less_than", "size=3", "state_op=not&state=new", "spare_id=1", "page=1"):
        assert (await admin.get(f"{LIST}?{query}")).status_code == 200, query


async def test_empty_unknown_parameter_is_refused(admin: AsyncClient) -> None:
    assert (await admin.get(f"{LIST}?stat=&search=", follow_redirects=True)).status_code == 422


async def test_empty_list_parameter_is_kept(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GadgetAdmin, "list_parameters", ("shelf",))
    assert (await admin.get(f"{LIST}?shelf=&search=")).headers["location"] == f"{LIST}?shelf="


async def test_htmx_receives_the_clean_url(admin: AsyncClient) -> None:
    response = await admin.get(f"{LIST}?search=door&state=", headers={"HX-Request-Type": "partial"})
    assert (response.status_code, response.headers["HX-Replace-Url"]) == (200, f"{LIST}?search=door")
    assert response.text.count('id="found"') == 1
    assert "<html" not in response.text
