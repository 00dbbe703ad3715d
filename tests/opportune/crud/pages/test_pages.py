"""Lists and details of a model, with and without htmx."""

import re
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from markupsafe import escape
from sqlalchemy import delete

from opportune.accounts import User
from opportune.crud import CrudPages
from opportune.crud.columns import escaped
from opportune.crud.formats import format_all, format_value
from opportune.errors import OperatorError
from opportune.testing.statements import counted_statements
from tests.opportune.crud.library import HTMX, BookStatus, Opinion, Volume, Volumes, volume
from tests.opportune.page_templates import add_templates


async def test_list_shows_readable_rows(client: AsyncClient) -> None:
    response = await client.get("/volumes")
    assert response.status_code == 200
    assert '<a href="/volumes/emma">Emma &lt;b&gt;</a>' in response.text
    assert "Jane &lt;b&gt;" in response.text
    assert "€ 0.00" in response.text
    assert "Love, Money" in response.text
    assert "/volumes/draft" not in response.text
    assert "/volumes/new" not in response.text


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


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["<b>", "a & b"], ["&lt;b&gt;", "a &amp; b"]),
        (["<b>\0", "\0"], ["&lt;b&gt;\0", "\0"]),
        (["<b>", "one\n<two>"], ["&lt;b&gt;", '<span class="lines">one\n&lt;two&gt;</span>']),
        ([1, True, None, Decimal("1234.50")], ["1", '<span class="badge bg-green-lt">Yes</span>', "", "1,234.50"]),
        ([time(8, 30), time(8, 30, 15)], ["08:30", "08:30:15"]),
        ([[1, "<b>"], ["x"]], ["1, &lt;b&gt;", "x"]),
        ([], []),
    ],
)
def test_values_escaped_together_equal_values_escaped_singly(values: list[Any], texts: list[str]) -> None:
    assert list(escaped(format_all(values, format_value))) == texts
    assert [str(escape(format_value(value))) for value in values] == texts


async def test_list_is_filtered_by_its_address(client: AsyncClient) -> None:
    for query, is_listed in (
        ("q=nothing", False),
        ("topics=3", False),
        ("status=published&page=&sort=-price", True),
        ("utm_source=mail&fbclid=x", True),
        ("page=2", False),
    ):
        response = await client.get(f"/volumes?{query}")
        assert response.status_code == 200, query
        assert ("Emma" in response.text) is is_listed, query


async def test_value_error_of_a_filter_is_refused(client: AsyncClient) -> None:
    assert (await client.get("/volumes?year=10000")).status_code == 422


@pytest.fixture
async def printed_volume(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add(volume(title="Printed", slug="printed", printed_at=datetime(2026, 5, 1, 10, tzinfo=UTC)))


@pytest.mark.usefixtures("printed_volume")
async def test_filters_use_the_time_zone_of_the_visitor(client: AsyncClient) -> None:
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


async def test_empty_list_offers_to_add_a_row(client: AsyncClient, admin: AsyncClient) -> None:
    assert "Add the first" in (await admin.get("/opinions")).text
    empty = (await client.get("/opinions")).text
    assert "Nothing here yet" in empty
    assert "Add the first" not in empty
    assert "Nothing matches" in (await client.get("/volumes?q=nothing")).text


async def test_search_is_offered_if_there_are_rows(app: FastAPI, client: AsyncClient) -> None:
    search = 'type="search" name="q"'
    assert search in (await client.get("/volumes?q=nothing")).text
    async with app.state.database.writer() as session:
        await session.execute(delete(Volume))
    assert search not in (await client.get("/volumes")).text


async def test_filter_form_has_the_values_of_the_address(client: AsyncClient) -> None:
    text = (await client.get("/volumes?writer=1&price__gte=0&price__in=0")).text
    assert '<option value="1" selected>Jane &lt;b&gt;</option>' in text
    assert "Nobody" not in text
    assert 'name="price__gte"' in text
    assert '<input type="hidden" name="price__in" value="0">' in text
    assert "<details" in text
    assert " open>" in text


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


async def test_details_repeat_no_title(app: FastAPI, client: AsyncClient, ann: User) -> None:
    async with app.state.database.writer() as session:
        session.add(Opinion(volume_id=1, user_id=ann.id, stars=5))
    for path, title, values in (("/writers/1", "Jane &lt;b&gt;", ["No"]), ("/opinions/1", "Opinion 1", ["1", "5"])):
        page = (await client.get(path)).text
        assert f"{title}</h1>" in page, "a model without a short text has its name and the id"
        assert re.findall(r'<dd class="col-sm-9 text-break">(?:<[^>]+>)?([^<]+)</', page) == values


async def test_link_without_a_title_shows_the_id(app: FastAPI, client: AsyncClient) -> None:
    async with app.state.database.writer() as session:
        session.add(volume(id=9, title="", slug="untitled"))
    assert '<a href="/volumes/untitled">#9</a>' in (await client.get("/volumes")).text


async def test_unreadable_row_is_not_found(client: AsyncClient) -> None:
    for path in ("/volumes/draft", "/volumes/nothing", "/writers/2", "/writers/words", f"/writers/{2**63}"):
        assert (await client.get(path)).status_code == 404


async def test_excluded_route_does_not_exist(admin: AsyncClient) -> None:
    assert (await admin.post("/topics/1/delete")).status_code == 404
    assert "/topics/1/delete" not in (await admin.get("/topics/1")).text


async def test_statement_count_is_independent_of_rows(app: FastAPI, client: AsyncClient) -> None:
    counts = []
    for _ in range(2):
        with counted_statements("library_") as statements:
            assert (await client.get("/volumes?writer=1&price__gte=0")).status_code == 200
        counts.append(len(statements))
        async with app.state.database.writer() as session:
            for number in range(15):
                session.add(
                    volume(title="More", slug=f"{len(counts)}{number}", writer_id=1, status=BookStatus.PUBLISHED)
                )
    assert counts[0] == counts[1] <= 5


@pytest.fixture
def project_templates(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Templates of the project by name."""
    texts: dict[str, str] = {}
    add_templates(monkeypatch, texts)
    return texts


async def test_project_template_replaces_the_default(project_templates: dict[str, str], client: AsyncClient) -> None:
    project_templates["crud/volume_get.html"] = "{{ row.title }} on {{ shelf }} at {{ row_url }}"
    assert (await client.get("/volumes/emma")).text == "Emma &lt;b&gt; on Shelf E at /volumes/emma"


async def test_project_template_replaces_a_block(project_templates: dict[str, str], client: AsyncClient) -> None:
    project_templates["crud/volume_list.html"] = (
        '{% extends "crud/list.html" %}{% block row %}<tr><td>Book {{ row.title }}</td></tr>{% endblock %}'
    )
    for headers in ({}, HTMX):
        text = (await client.get("/volumes", headers=headers)).text
        assert "<td>Book Emma &lt;b&gt;</td>" in text
        assert 'id="found"' in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("titel",)}, r"columns: Volume has no 'titel'. Did you mean title"),
        ({"columns": ("secret_note",)}, r"columns: 'secret_note' is a secret"),
        ({"fields": ("nothing",)}, r"fields: .*'nothing'"),
        ({"sections": (("", ("secret_note",)),)}, r"sections: .*'secret_note'"),
        ({"without": ("deletion",)}, r"without: there is no 'deletion'"),
        ({"template_name": "x"}, r"no option 'template_name'"),
    ],
)
def test_invalid_option_is_reported(options: dict[str, object], message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        CrudPages(Volumes, "/again", **options)
