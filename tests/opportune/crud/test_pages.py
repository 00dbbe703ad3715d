"""HTML pages of a model, with and without htmx."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from markupsafe import escape
from sqlalchemy import Engine, event, select
from sqlmodel import col

from opportune.accounts import User
from opportune.config import speedups
from opportune.crud import CrudPages
from opportune.crud.columns import escaped
from opportune.crud.display import format_all, format_value
from opportune.errors import OperatorError
from opportune.testing import grant, make_user, signed_in_client
from tests.opportune.crud.library import BookStatus, Note, Opinion, Topic, Volume, Volumes, Writer
from tests.opportune.page_templates import add_templates

pytestmark = pytest.mark.database("sqlite")

HTMX = {"HX-Request-Type": "partial"}
VOLUME = {"title": "Persuasion", "slug": "persuasion", "writer_id": "1", "price": "8", "pages": "99"}


def volume(**fields: Any) -> Volume:
    return Volume(**{"writer_id": 1, "status": BookStatus.PUBLISHED, **fields})


@pytest.fixture
async def app(library_app: FastAPI) -> FastAPI:
    async with library_app.state.database.writer() as session:
        session.add_all([Writer(id=1, name="Jane <b>"), Writer(id=2, name="Nobody", is_hidden=True)])
        session.add_all(
            [Topic(id=1, name="Love"), Topic(id=2, name="Money"), Topic(id=3, name="Hidden", is_hidden=True)]
        )
        await session.flush()
        topics = list(await session.scalars(select(Topic).where(col(Topic.id) < 3)))
        emma = volume(id=1, title="Emma <b>", slug="emma", topics=topics)
        session.add_all([emma, volume(id=2, title="Draft", slug="draft", status=BookStatus.DRAFT)])
    return library_app


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Client of a superuser."""
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as client:
        yield client


@pytest.fixture
async def ann(app: FastAPI) -> User:
    return await make_user(app.state.database)


@pytest.fixture
async def member(app: FastAPI, ann: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, ann) as client:
        yield client


async def read_volume(app: FastAPI, slug: str) -> Volume | None:
    async with app.state.database.reader() as session:
        row: Volume | None = await session.scalar(select(Volume).where(col(Volume.slug) == slug))
        return row


async def test_list_shows_readable_rows(client: AsyncClient) -> None:
    response = await client.get("/volumes")
    assert response.status_code == 200
    assert '<a href="/volumes/emma">Emma &lt;b&gt;</a>' in response.text
    assert "Jane &lt;b&gt;" in response.text
    assert "€ 0.00" in response.text
    assert "Love, Money" in response.text
    assert "/volumes/draft" not in response.text
    assert "/volumes/new" not in response.text


async def test_list_links_to_the_form_for_writers(admin: AsyncClient) -> None:
    text = (await admin.get("/volumes")).text
    assert 'href="/volumes/new"' in text
    assert "/volumes/draft" in text


async def test_htmx_gets_only_the_results(client: AsyncClient) -> None:
    response = await client.get("/volumes?q=emma", headers=HTMX)
    assert response.text.strip().startswith('<section id="found"')
    assert "1 volume found" in response.text
    assert "<h1>" not in response.text


async def test_added_route_comes_first(client: AsyncClient) -> None:
    assert (await client.get("/volumes/newest")).text == "the newest"


@pytest.mark.skipif(not speedups.are_on(), reason="SPEEDUPS=off")
async def test_list_is_direct(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(**_options: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("fastapi.routing.solve_dependencies", refuse)
    assert (await client.get("/volumes?q=emma")).status_code == 200


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
        ([1, True, None, Decimal("1234.50")], ["1", "Yes", "", "1,234.50"]),
        ([[1, "<b>"], ["x"]], ["1, &lt;b&gt;", "x"]),
        ([], []),
    ],
)
def test_values_are_escaped_together_like_one_by_one(values: list[Any], texts: list[str]) -> None:
    assert list(escaped(format_all(values, format_value))) == texts
    assert [str(escape(format_value(value))) for value in values] == texts


async def test_list_is_filtered_by_its_address(client: AsyncClient) -> None:
    for query, is_listed in (
        ("q=nothing", False),
        ("topics=1", True),
        ("topics=3", False),
        ("price__lte=1", True),
        ("price__gte=1", False),
        ("writer=1", True),
        ("title__icontains=mm", True),
        ("status=published&page=&sort=-price", True),
        ("utm_source=mail", True),
        ("utm_source=mail&fbclid=x", True),
        ("page=2", False),
    ):
        response = await client.get(f"/volumes?{query}")
        assert response.status_code == 200, query
        assert ("Emma" in response.text) is is_listed, query


async def test_list_refuses_invalid_parameters(client: AsyncClient) -> None:
    for query in ("sort=secret_note", "secret_note=x", "price__nearly=1", "price__gte=x", "slug=emma", "nonsense=1"):
        assert (await client.get(f"/volumes?{query}")).status_code == 422


async def test_empty_list_offers_to_add_a_row(client: AsyncClient, admin: AsyncClient) -> None:
    assert "Add the first" in (await admin.get("/opinions")).text
    empty = (await client.get("/opinions")).text
    assert ("Nothing here yet" in empty, "Add the first" in empty) == (True, False)
    assert "Nothing matches" in (await client.get("/volumes?q=nothing")).text


async def test_filter_form_has_the_values_of_the_address(client: AsyncClient) -> None:
    text = (await client.get("/volumes?writer=1&price__gte=0&price__in=0")).text
    assert '<option value="1" selected>Jane &lt;b&gt;</option>' in text
    assert "Nobody" not in text
    assert 'name="price__gte"' in text
    assert '<input type="hidden" name="price__in" value="0">' in text
    assert "<details" in text
    assert " open>" in text


async def test_detail_shows_related_rows(client: AsyncClient, admin: AsyncClient) -> None:
    text = (await client.get("/volumes/emma")).text
    assert '<a href="/writers/1">Jane &lt;b&gt;</a>' in text
    assert "Love" in text
    assert "/volumes/emma/edit" not in text
    assert "secret" not in text.lower()
    writable = (await admin.get("/volumes/emma")).text
    assert "/volumes/emma/edit" in writable
    assert "/volumes/emma/delete" in writable


async def test_unreadable_row_is_not_found(client: AsyncClient) -> None:
    for path in ("/volumes/draft", "/volumes/nothing", "/writers/2", "/writers/words", f"/writers/{2**63}"):
        assert (await client.get(path)).status_code == 404


async def test_route_can_be_left_out(admin: AsyncClient) -> None:
    assert (await admin.post("/topics/1/delete")).status_code == 404
    assert "/topics/1/delete" not in (await admin.get("/topics/1")).text


PROTECTED = [("GET", "/new"), ("POST", "/new"), ("GET", "/emma/edit"), ("POST", "/emma/edit"), ("GET", "/emma/delete")]


async def test_writing_needs_a_grant(app: FastAPI, client: AsyncClient, member: AsyncClient) -> None:
    for method, path in (*PROTECTED, ("POST", "/emma/delete")):
        data = VOLUME if method == "POST" else None
        anonymous = await client.request(method, f"/volumes{path}", data=data)
        assert anonymous.status_code == 303, method
        assert anonymous.headers["location"].startswith("/accounts/login?next="), method
        assert (await member.request(method, f"/volumes{path}", data=data)).status_code == 403
        assert await read_volume(app, "emma"), method
        assert not await read_volume(app, "persuasion"), method


async def test_granted_actions_are_allowed(app: FastAPI, member: AsyncClient, ann: User) -> None:
    await grant(app.state.database, ann, "volume", "edit")
    assert (await member.get("/volumes/emma/edit")).status_code == 200
    assert (await member.get("/volumes/emma/delete")).status_code == 403
    text = (await member.get("/volumes/emma")).text
    assert ("/emma/edit" in text, "/emma/delete" in text) == (True, False)

    await grant(app.state.database, ann, "volume", "create")
    assert "/writers/new" not in (await member.get("/volumes/new")).text


async def test_row_is_added_with_its_links(app: FastAPI, admin: AsyncClient) -> None:
    form = (await admin.get("/volumes/new")).text
    assert '<option value="1">Jane &lt;b&gt;</option>' in form
    assert "Hidden" not in form
    assert "secret_note" not in form
    assert "<legend" in form
    response = await admin.post("/volumes/new", data={**VOLUME, "topics": ["1", "2"], "is_staff": "true", "id": "77"})
    assert (response.status_code, response.headers["location"]) == (303, "/volumes/persuasion")
    added = await read_volume(app, "persuasion")
    assert added
    assert (added.id == 77, added.is_staff, added.pages) == (False, False, 99)
    text = (await admin.get("/volumes/persuasion")).text
    assert "“Persuasion” is added." in text
    assert "Money" in text


async def test_related_row_is_added_in_a_dialog(admin: AsyncClient) -> None:
    assert 'href="/writers/new?_dialog=1"' in (await admin.get("/volumes/new")).text
    form = (await admin.get("/writers/new?_dialog=1", headers=HTMX)).text
    assert form.strip().startswith("<form")
    assert 'id="dialog-name"' in form
    invalid = await admin.post("/writers/new?_dialog=1", data={"name": ""}, headers=HTMX)
    assert (invalid.status_code, 'id="dialog-name-error"' in invalid.text) == (422, True)
    added = (await admin.post("/writers/new?_dialog=1", data={"name": "Ada"}, headers=HTMX)).text
    assert 'data-title="Ada"' in added
    page = (await admin.post("/writers/new?_dialog=1", data={"name": "Eve"})).text
    assert ("You can close this" in page, "<h1" in page) == (True, False)


async def test_htmx_gets_only_the_form_with_errors(admin: AsyncClient) -> None:
    response = await admin.post("/volumes/new", data=VOLUME, headers=HTMX)
    assert response.headers["HX-Redirect"] == "/volumes/persuasion"
    response = await admin.post("/volumes/new", data=VOLUME, headers=HTMX)
    assert response.status_code == 422
    assert response.text.strip().startswith("<form")
    assert "This value is already in use." in response.text
    assert 'value="Persuasion"' in response.text


async def test_row_is_changed_and_its_links_replaced(admin: AsyncClient) -> None:
    form = (await admin.get("/volumes/emma/edit")).text
    assert 'value="Emma &lt;b&gt;"' in form
    assert "checked" in form
    response = await admin.post(
        "/volumes/emma/edit", data={**VOLUME, "slug": "emma", "topics": "2", "published_on": ""}
    )
    assert (response.status_code, response.headers["location"]) == (303, "/volumes/emma")
    text = (await admin.get("/volumes/emma")).text
    assert ("Love" in text, "Money" in text, "“Persuasion” is saved." in text) == (False, True, True)


async def test_invalid_form_keeps_its_values(app: FastAPI, admin: AsyncClient, ann: User, member: AsyncClient) -> None:
    new, edit = "/volumes/new", "/volumes/emma/edit"
    await grant(app.state.database, ann, "volume", "create")
    for data, message, paths in (
        ({"title": ""}, "Please fill this in.", (new, edit)),
        ({"price": "-1"}, "Please give 0 or more.", (new,)),
        ({"writer_id": ""}, "Please choose one.", (new, edit)),
        ({"writer_id": "2"}, "The selected entry no longer exists", (new,)),
        ({"writer_id": "77"}, "The selected entry no longer exists", (edit,)),
        ({"topics": ["1", "3"]}, "The selected entry no longer exists", (edit,)),
        ({"slug": "emma"}, "This value is already in use.", (new,)),
        ({"pages": "0"}, "does not allow this value", (new, edit)),
    ):
        for path in paths:
            # The superuser sees hidden writers, a librarian does not.
            sender = member if path.endswith("new") else admin
            response = await sender.post(path, data={**VOLUME, "blurb": "typed <i>", **data})
            assert (response.status_code, message in response.text) == (422, True), (path, response.text)
            assert 'value="99"' in response.text or "pages" in data
        assert not await read_volume(app, "persuasion"), data


async def test_row_that_others_need_is_not_deleted(admin: AsyncClient) -> None:
    page = (await admin.get("/writers/1/delete")).text
    assert "cannot be deleted now" in page
    assert "Yes, delete" not in page
    assert "Emma" in page
    response = await admin.post("/writers/1/delete")
    assert (response.status_code, "Something else still refers to it" in response.text) == (422, True)


async def test_deletion_is_confirmed_with_its_consequences(app: FastAPI, admin: AsyncClient, ann: User) -> None:
    async with app.state.database.writer() as session:
        session.add_all([Opinion(volume_id=1, user_id=ann.id, stars=5)])
    page = (await admin.get("/volumes/emma/delete")).text
    assert "Delete “Emma &lt;b&gt;”?" in page
    assert "1 opinion" in page
    response = await admin.post("/volumes/emma/delete")
    assert (response.status_code, response.headers["location"]) == (303, "/volumes")
    assert "“Emma &lt;b&gt;” is deleted." in (await admin.get("/volumes")).text
    assert (await admin.get("/volumes/emma")).status_code == 404


async def test_row_of_another_owner_is_not_found(
    app: FastAPI, member: AsyncClient, admin: AsyncClient, ann: User
) -> None:
    async with app.state.database.writer() as session:
        session.add(Note(id=5, owner_id=ann.id, text="Mine", parent_id=None))
    assert "Mine" in (await member.get("/notes")).text
    assert "Mine" not in (await admin.get("/notes")).text
    for method, path in (("GET", "edit"), ("POST", "edit"), ("GET", "delete"), ("POST", "delete")):
        assert (
            await admin.request(method, f"/notes/5/{path}", data={"text": "Taken"} if method == "POST" else None)
        ).status_code == 404
    response = await member.post("/notes/5/edit", data={"text": "Changed"})
    assert (response.status_code, response.headers["location"]) == (303, "/notes?q=Changed")
    assert (await member.get("/notes/5")).status_code == 404


@pytest.fixture
async def many_writers(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add_all([Writer(name=f"Writer {number:03}", is_hidden=number == 99) for number in range(100)])


@pytest.mark.usefixtures("many_writers")
async def test_choices_are_searched_among_visible_rows(admin: AsyncClient, client: AsyncClient) -> None:
    form = (await admin.get("/volumes/new")).text
    assert 'data-url="/volumes/new/choices"' in form
    assert form.count("<option") < 70
    results = (await client.get("/volumes/new/choices?name=writer&term=%22writer+09%22")).json()["results"]
    assert [row["text"] for row in results] == [f"Writer {number:03}" for number in range(90, 99)]
    assert len((await admin.get("/volumes/new/choices?name=writer_id&term=writer")).json()["results"]) == 20
    assert (await client.get("/volumes/new/choices?name=writer_id&term=a")).status_code == 404
    assert (await client.get("/volumes/new/choices")).status_code == 404


@pytest.mark.usefixtures("many_writers")
async def test_choices_are_searched_without_javascript(app: FastAPI, admin: AsyncClient) -> None:
    response = await admin.post("/volumes/new", data={**VOLUME, "writer_id.search": "097"})
    assert response.status_code == 422
    assert ">Writer 097</option>" in response.text
    assert "Choose one of the results" in response.text
    assert not await read_volume(app, "persuasion")


async def test_statement_count_is_independent_of_rows(app: FastAPI, client: AsyncClient) -> None:
    counts = []
    for _ in range(2):
        counts.append(await count_statements(client, "/volumes?writer=1&price__gte=0"))
        async with app.state.database.writer() as session:
            for number in range(15):
                session.add(
                    volume(title="More", slug=f"{len(counts)}{number}", writer_id=1, status=BookStatus.PUBLISHED)
                )
    assert counts[0] == counts[1] <= 5


async def count_statements(client: AsyncClient, path: str) -> int:
    executed: list[str] = []

    def collect(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        executed.append(statement)

    event.listen(Engine, "before_cursor_execute", collect)
    try:
        assert (await client.get(path)).status_code == 200
    finally:
        event.remove(Engine, "before_cursor_execute", collect)
    return len([statement for statement in executed if "library_" in statement])


@pytest.fixture
def project_templates(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Templates of the project by name."""
    texts: dict[str, str] = {}
    add_templates(monkeypatch, texts)
    return texts


async def test_project_template_replaces_the_default(project_templates: dict[str, str], client: AsyncClient) -> None:
    project_templates["crud/volume_detail.html"] = "{{ row.title }} on {{ shelf }} at {{ address }}"
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
        ({"template_name": "x"}, r"there is no option 'template_name'"),
    ],
)
def test_invalid_option_is_reported(options: dict[str, object], message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        CrudPages(Volumes, "/again", **options)
