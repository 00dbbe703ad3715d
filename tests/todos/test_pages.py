from datetime import date

import pytest
from httpx import AsyncClient
from sqlalchemy import insert

from app.todos.models import Todo
from opportune.accounts import User
from opportune.db import Database, utc_now
from tests.todos.conftest import MakeTodo

# What a page asks of the database is asked of both kinds in the tests of the service and the API.
pytestmark = pytest.mark.database("sqlite")

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
ON_ONE = [("GET", ""), ("POST", ""), ("POST", "/done"), ("POST", "/delete")]
INVALID: list[tuple[dict[str, str], str]] = [
    ({}, "Please fill this in."),
    ({"title": "  "}, "Please fill this in."),
    ({"title": "a" * 10_000}, "at most 200 characters"),
    ({"title": "NUL \0"}, "must not contain the character NUL"),
    ({"title": "Kept", "due_on": "tomorrow"}, "give a date"),
]
SAVED = {"title": "Buy milk", "done": "true"}


async def stored(database: Database, todo: Todo) -> Todo | None:
    async with database.reader() as session:
        return await session.get(Todo, todo.id)


async def test_nobody_gets_in_without_signing_in(client: AsyncClient) -> None:
    for method, path in [("GET", ""), ("POST", ""), *((method, f"/1{path}") for method, path in ON_ONE)]:
        answer = await client.request(method, f"/todos{path}", data=SAVED if method == "POST" else None)

        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/accounts/login?next=")


async def test_the_page_shows_the_owners_todos_only(
    browser: AsyncClient, ann: User, bob: User, make_todo: MakeTodo
) -> None:
    await make_todo(ann, "Buy <b>milk</b>")
    await make_todo(bob, "Secret")

    answer = await browser.get("/todos")

    assert answer.status_code == 200
    assert "Buy &lt;b&gt;milk&lt;/b&gt;" in answer.text
    assert "Secret" not in answer.text
    assert "1 in total, 1 open, 0 done" in answer.text


async def test_an_empty_list_says_what_to_do_and_what_is_invalid_or_not_there_is_refused(browser: AsyncClient) -> None:
    assert "add your first" in (await browser.get("/todos")).text

    answer = await browser.get("/todos", headers={"HX-Request": "true", "HX-Request-Type": "full"})

    assert answer.text.startswith("<!doctype html>")

    for query in ["state=lost", "nonsense=1", "due_on__lte=32", "page=0", "q=%00", f"q={'a' * 10_000}", "sort=notes"]:
        assert (await browser.get(f"/todos?{query}")).status_code == 422, query

    for sent, said in INVALID:
        answer = await browser.post("/todos", data=sent)

        assert answer.status_code == 422, sent
        assert said.lower() in answer.text.lower()
        assert f'value="{sent.get("title", "")}"' in answer.text
        assert "0 in total" in answer.text

    for method, path in ON_ONE:
        for todo_id in ["1", 2**63, "milk"]:
            answer = await browser.request(method, f"/todos/{todo_id}{path}", data=SAVED if method == "POST" else None)

            assert answer.status_code == 404, (method, todo_id, path)


async def test_a_todo_is_added_without_javascript(browser: AsyncClient) -> None:
    answer = await browser.post("/todos", data={"title": "Buy milk", "due_on": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/todos#title")

    assert "Buy milk" in (await browser.get("/todos")).text


async def test_a_todo_is_edited_on_its_page_done_open_again_and_deleted_and_an_invalid_edit_saves_nothing(
    browser: AsyncClient, database: Database, ann: User, make_todo: MakeTodo
) -> None:
    todo = await make_todo(ann, "Buy milk", notes="\n2 litres", due_on=date(2026, 3, 10))
    page = await browser.get(f"/todos/{todo.id}")
    assert 'value="Buy milk"' in page.text
    assert ">\n\n2 litres</textarea>" in page.text
    assert 'value="2026-03-10"' in page.text

    answer = await browser.post(f"/todos/{todo.id}", data={"title": "Buy oat milk", "notes": "", "due_on": ""})

    assert (answer.status_code, answer.headers["location"]) == (303, "/todos")
    saved = await stored(database, todo)
    assert saved is not None
    assert (saved.title, saved.notes, saved.due_on) == ("Buy oat milk", "", None)

    todo = await make_todo(ann, "Buy milk")

    answer = await browser.post(f"/todos/{todo.id}", data={"title": "", "notes": "typed"})

    assert answer.status_code == 422
    assert "Please fill this in." in answer.text
    assert "typed</textarea>" in answer.text
    assert (saved := await stored(database, todo)) is not None
    assert (saved.title, saved.notes) == ("Buy milk", "")

    todo = await make_todo(ann)

    answer = await browser.post(f"/todos/{todo.id}/done?q=write&page=1", data={"done": "true"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/todos?q=write&page=1")
    assert (saved := await stored(database, todo)) is not None
    assert saved.done_at

    await browser.post(f"/todos/{todo.id}/done", data={"done": "false"})
    assert (saved := await stored(database, todo)) is not None
    assert saved.done_at is None

    todo = await make_todo(ann)

    answer = await browser.post(f"/todos/{todo.id}/delete")

    assert (answer.status_code, answer.headers["location"]) == (303, "/todos")
    assert await stored(database, todo) is None


async def test_deletion_asks_first_and_is_processed_once(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann)
    form = (await browser.get("/todos")).text.partition(f'action="/todos/{todo.id}/delete')[2].partition("</form>")[0]
    assert 'hx-confirm="Delete this to-do?"' in form
    assert 'name="form_token"' in form


async def test_htmx_gets_the_board_alone_or_the_form_with_its_errors_and_done_is_yes_or_no(
    browser: AsyncClient, ann: User, make_todo: MakeTodo
) -> None:
    todo = await make_todo(ann)

    answer = await browser.post(
        f"/todos/{todo.id}/done?state=done", data={"done": "true"}, headers=HTMX, follow_redirects=True
    )

    assert answer.text.lstrip().startswith('<section id="board"')
    assert "1 in total, 0 open, 1 done" in answer.text
    assert f'action="/todos/{todo.id}/done?state=done"' in answer.text

    todo = await make_todo(ann)

    for done in ("", "perhaps"):
        assert (await browser.post(f"/todos/{todo.id}/done", data={"done": done})).status_code == 422

    todo = await make_todo(ann)

    for path in ("/todos", f"/todos/{todo.id}"):
        answer = await browser.post(path, data={"title": ""}, headers=HTMX)
        assert (answer.status_code, answer.text.count("<form")) == (422, 1)
        assert "Please fill this in." in answer.text

        answer = await browser.post(path, data={"title": "Buy milk"}, headers=HTMX)
        went_to = answer.headers["HX-Replace-Url" if path == "/todos" else "HX-Redirect"]
        assert (answer.status_code, went_to) == (200, "/todos")


async def test_another_users_todo_is_not_found(
    browser: AsyncClient, database: Database, bob: User, make_todo: MakeTodo
) -> None:
    todo = await make_todo(bob, "Secret")

    for method, path in ON_ONE:
        answer = await browser.request(method, f"/todos/{todo.id}{path}", data=SAVED if method == "POST" else None)

        assert answer.status_code == 404, (method, path)
        assert "Secret" not in answer.text
    assert (saved := await stored(database, todo)) is not None
    assert (saved.title, saved.done_at) == ("Secret", None)


async def test_the_filter_finds_and_is_filled_in_again_and_the_list_is_paged_sorted_and_turned_round(
    browser: AsyncClient, ann: User, make_todo: MakeTodo
) -> None:
    await make_todo(ann, "Buy milk")
    await make_todo(ann, "Buy bread", done_at=utc_now())

    # As a browser sends it: with the fields that nobody filled in.
    answer = await browser.get("/todos?q=BUY&state=done&due_on__gte=&due_on__lte=")

    assert "Buy bread" in answer.text
    assert "Buy milk" not in answer.text
    assert 'value="BUY"' in answer.text
    assert '<option value="done" selected>' in answer.text

    for number in range(3):
        await make_todo(ann, f"Task {number}")

    answer = await browser.get("/todos?q=task&size=1&page=2")

    assert "Page 2 of 3" in answer.text
    assert 'href="?q=task&amp;size=1&amp;page=1"' in answer.text
    assert 'href="?q=task&amp;size=1&amp;page=3"' in answer.text

    for title in ("Apples", "bread", "Cheese"):
        await make_todo(ann, title)

    answer = await browser.get("/todos?q=e&sort=-title&page=1")

    assert answer.text.index("Cheese") < answer.text.index("bread") < answer.text.index("Apples")
    assert 'href="?q=e&amp;sort=title">title' in answer.text
    assert 'href="?q=e&amp;sort=due_on">due</a>' in answer.text
    assert '<input type="hidden" name="sort" value="-title">' in answer.text


async def test_a_list_of_thousands_is_counted_as_people_write_it(
    browser: AsyncClient, database: Database, ann: User
) -> None:
    async with database.writer() as session:
        row = {"owner_id": ann.id, "title": "Tea", "notes": "", "created_at": utc_now(), "due_on": date(2020, 1, 1)}
        await session.execute(insert(Todo), [row] * 1001)
    text = (await browser.get("/todos")).text
    assert ("1,001 in total, 1,001 open, 0 done" in text, "1,001 overdue" in text) == (True, True)
