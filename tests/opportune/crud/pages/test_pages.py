"""Lists and details of a model, with and without htmx."""

from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from markupsafe import escape

from opportune.crud import CrudPages
from opportune.crud.formats import format_all, format_value
from opportune.errors import OperatorError
from tests.opportune.crud.library import HTMX, Volumes, volume
from tests.opportune.page_templates import add_templates
from tests.opportune.stored_rows import add_rows


async def test_list_shows_readable_rows(client: AsyncClient) -> None:
    response = await client.get("/volumes")
    assert response.status_code == 200
    assert '<a href="/volumes/emma">Emma &lt;b&gt;</a>' in response.text
    assert "Jane &lt;b&gt;" in response.text
    assert "€ 0.00" in response.text
    assert [text in response.text for text in ("Love, Money", "/volumes/draft", "/volumes/new")] == [True, False, False]


async def test_page_past_the_end_leads_to_the_last(client: AsyncClient) -> None:
    assert (await client.get("/volumes?q=emma&page=9")).headers["location"] == "?q=emma&page=1"


async def test_htmx_gets_only_the_results(client: AsyncClient) -> None:
    response = await client.get("/volumes?q=emma", headers=HTMX)
    assert response.text.strip().startswith('<section id="found"')
    assert "1 volume found" in response.text
    assert "<h1>" not in response.text


async def test_added_route_comes_first(client: AsyncClient) -> None:
    assert (await client.get("/volumes/newest")).text == "the newest"


async def test_invalid_parameter_page_names_it_and_links_back(client: AsyncClient) -> None:
    page = await client.get("/volumes?q=emma&nonsense=1&price__gte=x")
    assert page.status_code == 422
    assert "<dt>nonsense</dt>" in page.text
    assert "<dt>price__gte</dt>" in page.text
    assert '<a href="?q=emma" class="btn btn-primary">Open this page without them</a>' in page.text


def test_values_formatted_together_equal_single_values() -> None:
    for values, texts in (
        (["<b>", "a & b"], ["&lt;b&gt;", "a &amp; b"]),
        (["<b>", "one\n<two>"], ["&lt;b&gt;", '<span class="lines">one\n&lt;two&gt;</span>']),
        ([1, True, None, Decimal("1234.50")], ["1", '<span class="badge bg-green-lt">Yes</span>', "", "1,234.50"]),
        ([time(8, 30), time(8, 30, 15)], ["08:30", "08:30:15"]),
        ([[1, "<b>"], ["x"]], ["1, &lt;b&gt;", "x"]),
    ):
        assert [str(escape(text)) for text in format_all(values, format_value)] == texts
        assert [str(escape(format_value(value))) for value in values] == texts, values


async def test_filters_use_the_time_zone_of_the_visitor(app: FastAPI, client: AsyncClient) -> None:
    await add_rows(app, volume(title="Printed", slug="printed", printed_at=datetime(2026, 5, 1, 10, tzinfo=UTC)))
    client.cookies.set("time_zone", "Asia/Tokyo")  # where it is 19:00
    earlier = (await client.get("/volumes?printed_at__gte=2026-05-01T18:30")).text
    assert "Printed" in earlier
    assert 'value="2026-05-01T18:30"' in earlier
    assert "Printed</a>" not in (await client.get("/volumes?printed_at__gte=2026-05-01T19:30")).text


@pytest.mark.language("de")
async def test_filters_use_the_format_of_the_visitor(client: AsyncClient, language: str) -> None:
    response = await client.get("/volumes", params={"printed_at__gte": "1.5.2026 18:30"})
    assert response.headers["location"] == "/volumes?printed_at__gte=2026-05-01T18%3A30"
    assert (await client.get("/volumes", params={"printed_at__gte": "31.2.2026 18:30"})).status_code == 422


async def test_detail_shows_related_rows_and_permitted_actions(client: AsyncClient, admin: AsyncClient) -> None:
    text = (await client.get("/volumes/emma")).text
    assert '<a href="/writers/1">Jane &lt;b&gt;</a>' in text
    assert "Love" in text
    assert "/volumes/emma/edit" not in text
    assert "secret" not in text.lower()
    assert 'href="/volumes/new"' in (await admin.get("/volumes")).text
    writable = (await admin.get("/volumes/emma")).text
    assert "/volumes/emma/edit" in writable
    assert "/volumes/emma/delete" in writable


async def test_unreadable_row_is_not_found(client: AsyncClient) -> None:
    for path in ("/volumes/draft", "/volumes/nothing", "/writers/2", "/writers/words", f"/writers/{2**63}"):
        assert (await client.get(path)).status_code == 404


async def test_excluded_route_does_not_exist(admin: AsyncClient) -> None:
    assert (await admin.post("/topics/1/delete")).status_code == 404
    assert "/topics/1/delete" not in (await admin.get("/topics/1")).text


@pytest.fixture
def project_templates(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    texts: dict[str, str] = {}
    add_templates(monkeypatch, texts)
    return texts


async def test_project_template_replaces_a_block(project_templates: dict[str, str], client: AsyncClient) -> None:
    row = "{% block row %}<tr><td>Book {{ row.title }}</td></tr>{% endblock %}"
    project_templates["crud/volume_list.html"] = '{% extends "crud/list.html" %}' + row
    for headers in ({}, HTMX):
        text = (await client.get("/volumes", headers=headers)).text
        assert "<td>Book Emma &lt;b&gt;</td>" in text
        assert 'id="found"' in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("titel",)}, r"columns: Volume has no 'titel'. Did you mean title"),
        ({"columns": ("secret_note",)}, r"columns: 'secret_note' is a secret"),
        ({"sections": (("", ("secret_note",)),)}, r"sections: .*'secret_note'"),
        ({"template_name": "x"}, r"no option 'template_name'"),
    ],
)
def test_invalid_option_is_reported(options: dict[str, object], message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        CrudPages(Volumes, "/again", **options)
