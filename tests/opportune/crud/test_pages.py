"""The pages of a model: whoever comes, by page and by htmx."""

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
async def root(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as client:
        yield client


@pytest.fixture
async def ann(app: FastAPI) -> User:
    return await make_user(app.state.database)


@pytest.fixture
async def browser(app: FastAPI, ann: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, ann) as client:
        yield client


async def stored(app: FastAPI, slug: str) -> Volume | None:
    async with app.state.database.reader() as session:
        found: Volume | None = await session.scalar(select(Volume).where(col(Volume.slug) == slug))
        return found


async def test_the_list_shows_what_one_may_see_and_offers_to_add_to_who_may_and_htmx_gets_what_follows_the_words_alone(
    client: AsyncClient, root: AsyncClient
) -> None:
    answer = await client.get("/volumes")
    assert answer.status_code == 200
    assert '<a href="/volumes/emma">Emma &lt;b&gt;</a>' in answer.text
    assert "Jane &lt;b&gt;" in answer.text
    assert "€ 0.00" in answer.text
    assert "Love, Money" in answer.text
    assert "/volumes/draft" not in answer.text
    assert "/volumes/new" not in answer.text

    text = (await root.get("/volumes")).text
    assert 'href="/volumes/new"' in text
    assert "/volumes/draft" in text

    answer = await client.get("/volumes?q=emma", headers=HTMX)
    assert answer.text.strip().startswith('<section id="found"')
    assert "1 volume found" in answer.text
    assert "<h1>" not in answer.text

    assert (await client.get("/volumes/newest")).text == "the newest"


@pytest.mark.skipif(not speedups.are_on(), reason="SPEEDUPS=off")
async def test_the_list_takes_the_short_way(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
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
    ("values", "shown"),
    [
        (["<b>", "a & b"], ["&lt;b&gt;", "a &amp; b"]),
        (["<b>\0", "\0"], ["&lt;b&gt;\0", "\0"]),
        (["<b>", "one\n<two>"], ["&lt;b&gt;", '<span class="lines">one\n&lt;two&gt;</span>']),
        ([1, True, None, Decimal("1234.50")], ["1", "Yes", "", "1,234.50"]),
        ([[1, "<b>"], ["x"]], ["1, &lt;b&gt;", "x"]),
        ([], []),
    ],
)
def test_the_values_of_a_column_are_shown_and_escaped_together_as_each_alone(
    values: list[Any], shown: list[str]
) -> None:
    assert list(escaped(format_all(values, format_value))) == shown
    assert [str(escape(format_value(value))) for value in values] == shown


async def test_the_list_is_filtered_by_its_address_and_its_form_has_what_was_chosen(
    client: AsyncClient, root: AsyncClient
) -> None:
    for query, finds in (
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
        answer = await client.get(f"/volumes?{query}")
        assert answer.status_code == 200, query
        assert ("Emma" in answer.text) is finds, query

    for query in ("sort=secret_note", "secret_note=x", "price__nearly=1", "price__gte=x", "slug=emma", "nonsense=1"):
        assert (await client.get(f"/volumes?{query}")).status_code == 422

    assert "Add the first" in (await root.get("/opinions")).text
    empty = (await client.get("/opinions")).text
    assert ("Nothing here yet" in empty, "Add the first" in empty) == (True, False)
    assert "Nothing matches" in (await client.get("/volumes?q=nothing")).text

    text = (await client.get("/volumes?writer=1&price__gte=0&price__in=0")).text
    assert '<option value="1" selected>Jane &lt;b&gt;</option>' in text
    assert "Nobody" not in text
    assert 'name="price__gte"' in text
    assert '<input type="hidden" name="price__in" value="0">' in text
    assert "<details" in text
    assert " open>" in text


async def test_a_row_has_a_page_with_what_it_points_at_and_what_is_not_to_be_seen_is_not_found(
    client: AsyncClient, root: AsyncClient
) -> None:
    text = (await client.get("/volumes/emma")).text
    assert '<a href="/writers/1">Jane &lt;b&gt;</a>' in text
    assert "Love" in text
    assert "/volumes/emma/edit" not in text
    assert "secret" not in text.lower()
    ours = (await root.get("/volumes/emma")).text
    assert "/volumes/emma/edit" in ours
    assert "/volumes/emma/delete" in ours

    for path in ("/volumes/draft", "/volumes/nothing", "/writers/2", "/writers/words", f"/writers/{2**63}"):
        assert (await client.get(path)).status_code == 404

    assert (await root.post("/topics/1/delete")).status_code == 404
    assert "/topics/1/delete" not in (await root.get("/topics/1")).text


ASKING_WHO = [("GET", "/new"), ("POST", "/new"), ("GET", "/emma/edit"), ("POST", "/emma/edit"), ("GET", "/emma/delete")]


async def test_strangers_are_asked_who_they_are_others_are_refused_and_whom_a_group_grants_it_may(
    app: FastAPI, client: AsyncClient, browser: AsyncClient, ann: User
) -> None:
    for method, path in (*ASKING_WHO, ("POST", "/emma/delete")):
        data = VOLUME if method == "POST" else None
        stranger = await client.request(method, f"/volumes{path}", data=data)
        assert stranger.status_code == 303, method
        assert stranger.headers["location"].startswith("/accounts/login?next="), method
        assert (await browser.request(method, f"/volumes{path}", data=data)).status_code == 403
        assert await stored(app, "emma"), method
        assert not await stored(app, "persuasion"), method

    await grant(app.state.database, ann, "volume", "edit")
    assert (await browser.get("/volumes/emma/edit")).status_code == 200
    assert (await browser.get("/volumes/emma/delete")).status_code == 403
    text = (await browser.get("/volumes/emma")).text
    assert ("/emma/edit" in text, "/emma/delete" in text) == (True, False)

    await grant(app.state.database, ann, "volume", "create")
    assert "/writers/new" not in (await browser.get("/volumes/new")).text


async def test_one_is_added_with_what_it_points_at_and_a_new_row_to_point_at_is_made_in_a_dialog(
    app: FastAPI, root: AsyncClient
) -> None:
    form = (await root.get("/volumes/new")).text
    assert '<option value="1">Jane &lt;b&gt;</option>' in form
    assert "Hidden" not in form
    assert "secret_note" not in form
    assert "<legend" in form
    answer = await root.post("/volumes/new", data={**VOLUME, "topics": ["1", "2"], "is_staff": "true", "id": "77"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/volumes/persuasion")
    made = await stored(app, "persuasion")
    assert made
    assert (made.id == 77, made.is_staff, made.pages) == (False, False, 99)
    shown = (await root.get("/volumes/persuasion")).text
    assert "“Persuasion” is added." in shown
    assert "Money" in shown

    assert 'href="/writers/new?_dialog=1"' in (await root.get("/volumes/new")).text
    form = (await root.get("/writers/new?_dialog=1", headers=HTMX)).text
    assert form.strip().startswith("<form")
    assert 'id="dialog-name"' in form
    wrong = await root.post("/writers/new?_dialog=1", data={"name": ""}, headers=HTMX)
    assert (wrong.status_code, 'id="dialog-name-error"' in wrong.text) == (422, True)
    answered = (await root.post("/writers/new?_dialog=1", data={"name": "Ada"}, headers=HTMX)).text
    assert 'data-title="Ada"' in answered
    plain = (await root.post("/writers/new?_dialog=1", data={"name": "Eve"})).text
    assert ("You can close this" in plain, "<h1" in plain) == (True, False)


async def test_one_is_changed_what_is_emptied_is_empty_and_htmx_gets_a_wrong_form_again_alone(
    root: AsyncClient, app: FastAPI
) -> None:
    answer = await root.post("/volumes/new", data=VOLUME, headers=HTMX)
    assert answer.headers["HX-Redirect"] == "/volumes/persuasion"
    again = await root.post("/volumes/new", data=VOLUME, headers=HTMX)
    assert again.status_code == 422
    assert again.text.strip().startswith("<form")
    assert "This value is already in use." in again.text
    assert 'value="Persuasion"' in again.text

    form = (await root.get("/volumes/emma/edit")).text
    assert 'value="Emma &lt;b&gt;"' in form
    assert 'value="1" checked' in form or "checked" in form
    answer = await root.post("/volumes/emma/edit", data={**VOLUME, "slug": "emma", "topics": "2", "published_on": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/volumes/emma")
    shown = (await root.get("/volumes/emma")).text
    assert ("Love" in shown, "Money" in shown, "“Persuasion” is saved." in shown) == (False, True, True)


async def test_what_is_not_valid_is_shown_again_with_what_was_typed(
    app: FastAPI, root: AsyncClient, ann: User, browser: AsyncClient
) -> None:
    both = ("/volumes/new", "/volumes/emma/edit")
    await grant(app.state.database, ann, "volume", "create")
    for sent, words, paths in (
        ({"title": ""}, "Please fill this in.", both),
        ({"price": "-1"}, "Please give 0 or more.", both[:1]),
        ({"writer_id": ""}, "Please choose one.", both),
        ({"writer_id": "2"}, "The selected entry no longer exists", both[:1]),
        ({"writer_id": "77"}, "The selected entry no longer exists", both[1:]),
        ({"topics": ["1", "3"]}, "The selected entry no longer exists", both[1:]),
        ({"slug": "emma"}, "This value is already in use.", both[:1]),
        ({"pages": "0"}, "does not allow this value", both),
    ):
        for path in paths:
            # The superuser sees hidden writers, a librarian does not.
            sender = browser if path.endswith("new") else root
            answer = await sender.post(path, data={**VOLUME, "blurb": "typed <i>", **sent})
            assert (answer.status_code, words in answer.text) == (422, True), (path, answer.text)
            assert 'value="99"' in answer.text or "pages" in sent
        assert not await stored(app, "persuasion"), sent


async def test_before_one_is_deleted_it_is_asked_what_goes_with_it_is_said_and_what_others_need_stays(
    app: FastAPI, root: AsyncClient, ann: User
) -> None:
    asked = (await root.get("/writers/1/delete")).text
    assert "cannot be deleted now" in asked
    assert "Yes, delete" not in asked
    assert "Emma" in asked
    answer = await root.post("/writers/1/delete")
    assert (answer.status_code, "Something else still refers to it" in answer.text) == (422, True)

    async with app.state.database.writer() as session:
        session.add_all([Opinion(volume_id=1, user_id=ann.id, stars=5)])
    asked = (await root.get("/volumes/emma/delete")).text
    assert "Delete “Emma &lt;b&gt;”?" in asked
    assert "1 opinion" in asked
    answer = await root.post("/volumes/emma/delete")
    assert (answer.status_code, answer.headers["location"]) == (303, "/volumes")
    assert "“Emma &lt;b&gt;” is deleted." in (await root.get("/volumes")).text
    assert (await root.get("/volumes/emma")).status_code == 404


async def test_anothers_is_not_there(app: FastAPI, browser: AsyncClient, root: AsyncClient, ann: User) -> None:
    async with app.state.database.writer() as session:
        session.add(Note(id=5, owner_id=ann.id, text="Mine", parent_id=None))
    assert "Mine" in (await browser.get("/notes")).text
    assert "Mine" not in (await root.get("/notes")).text
    for method, path in (("GET", "edit"), ("POST", "edit"), ("GET", "delete"), ("POST", "delete")):
        assert (
            await root.request(method, f"/notes/5/{path}", data={"text": "Taken"} if method == "POST" else None)
        ).status_code == 404
    answer = await browser.post("/notes/5/edit", data={"text": "Changed"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/notes?q=Changed")
    assert (await browser.get("/notes/5")).status_code == 404


async def test_many_rows_are_looked_up_by_who_may_see_them_or_searched_by_saving(
    app: FastAPI, root: AsyncClient, client: AsyncClient
) -> None:
    async with app.state.database.writer() as session:
        session.add_all([Writer(name=f"Writer {number:03}", is_hidden=number == 99) for number in range(100)])
    form = (await root.get("/volumes/new")).text
    assert 'data-url="/volumes/new/choices"' in form
    assert form.count("<option") < 70
    found = (await client.get("/volumes/new/choices?name=writer&term=%22writer+09%22")).json()["results"]
    assert [row["text"] for row in found] == [f"Writer {number:03}" for number in range(90, 99)]
    assert len((await root.get("/volumes/new/choices?name=writer_id&term=writer")).json()["results"]) == 20
    assert (await client.get("/volumes/new/choices?name=writer_id&term=a")).status_code == 404
    assert (await client.get("/volumes/new/choices")).status_code == 404

    answer = await root.post("/volumes/new", data={**VOLUME, "writer_id.search": "097"})
    assert answer.status_code == 422
    assert ">Writer 097</option>" in answer.text
    assert "Choose one of the results" in answer.text
    assert not await stored(app, "persuasion")


async def test_a_list_asks_the_same_number_of_statements_whatever_it_shows(app: FastAPI, client: AsyncClient) -> None:
    counts = []
    for _ in range(2):
        counts.append(await statements(client, "/volumes?writer=1&price__gte=0"))
        async with app.state.database.writer() as session:
            for number in range(15):
                session.add(
                    volume(title="More", slug=f"{len(counts)}{number}", writer_id=1, status=BookStatus.PUBLISHED)
                )
    assert counts[0] == counts[1] <= 5


async def statements(client: AsyncClient, path: str) -> int:
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert (await client.get(path)).status_code == 200
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return len([statement for statement in asked if "library_" in statement])


@pytest.fixture
def own_templates(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Templates of the project, by their names."""
    texts: dict[str, str] = {}
    add_templates(monkeypatch, texts)
    return texts


async def test_a_projects_template_takes_the_place_of_one_or_replaces_a_block(
    own_templates: dict[str, str], client: AsyncClient
) -> None:
    own_templates["crud/volume_detail.html"] = "{{ row.title }} on {{ shelf }} at {{ address }}"
    assert (await client.get("/volumes/emma")).text == "Emma &lt;b&gt; on Shelf E at /volumes/emma"

    own_templates["crud/volume_list.html"] = (
        '{% extends "crud/list.html" %}{% block row %}<tr><td>Book {{ row.title }}</td></tr>{% endblock %}'
    )
    for headers in ({}, HTMX):
        text = (await client.get("/volumes", headers=headers)).text
        assert "<td>Book Emma &lt;b&gt;</td>" in text
        assert 'id="found"' in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": ("titel",)}, r"columns: Volume has no 'titel'. Did you mean title"),
        ({"columns": ("secret_note",)}, r"columns: 'secret_note' is a secret"),
        ({"fields": ("nothing",)}, r"fields: .*'nothing'"),
        ({"sections": (("", ("secret_note",)),)}, r"sections: .*'secret_note'"),
        ({"without": ("deletion",)}, r"without: there is no 'deletion'"),
        ({"template_name": "x"}, r"there is no option 'template_name'"),
    ],
)
def test_a_mistake_in_the_declaration_is_one_line(options: dict[str, object], words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        CrudPages(Volumes, "/again", **options)
