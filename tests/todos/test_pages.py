"""Pages of to-dos, with and without htmx."""

from datetime import date

from httpx2 import AsyncClient
from sqlalchemy import insert

from app.todos.models import Todo
from opportune.accounts import User
from opportune.db import Database, utc_now
from tests.todos.conftest import MakeTodo, board_numbers

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
TODO_ROUTES = [("GET", ""), ("POST", ""), ("POST", "/done"), ("POST", "/delete"), ("POST", "/restore")]
INVALID_FORMS: list[tuple[dict[str, str], str]] = [
    ({}, "title"),
    ({"title": "  "}, "title"),
    ({"title": "a" * 10_000}, "title"),
    ({"title": "NUL \0"}, "title"),
    ({"title": "Kept", "due_on": "tomorrow"}, "due_on"),
]
TODO_FORM = {"title": "Buy milk", "done": "true"}


async def read_todo(database: Database, todo: Todo) -> Todo | None:
    async with database.reader() as session:
        return await session.get(Todo, todo.id)


async def test_sign_in_is_required(client: AsyncClient) -> None:
    for method, path in [("GET", ""), ("POST", ""), *((method, f"/1{path}") for method, path in TODO_ROUTES)]:
        response = await client.request(method, f"/todos{path}", data=TODO_FORM if method == "POST" else None)

        assert response.status_code == 303
        assert response.headers["location"].startswith("/accounts/login?next=")


async def test_list_page_shows_only_own_todos(browser: AsyncClient, ann: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(ann, "Buy <b>milk</b>")
    await make_todo(bob, "Secret")

    response = await browser.get("/todos")

    assert response.status_code == 200
    assert "Buy &lt;b&gt;milk&lt;/b&gt;" in response.text
    assert "Secret" not in response.text
    assert board_numbers(response.text) == ["1", "1", "0", "0"]


async def test_empty_list_has_a_form(browser: AsyncClient) -> None:
    page = (await browser.get("/todos")).text
    assert 'name="title"' in page
    assert 'id="todo-' not in page


async def test_htmx_history_gets_the_whole_page(browser: AsyncClient) -> None:
    response = await browser.get("/todos", headers={"HX-Request": "true", "HX-Request-Type": "full"})

    assert response.text.startswith("<!doctype html>")


async def test_invalid_filter_is_refused(browser: AsyncClient) -> None:
    for query in ["state=lost", "nonsense=1", "due_on__lte=32", "page=0", "q=%00", f"q={'a' * 10_000}", "sort=notes"]:
        assert (await browser.get(f"/todos?{query}")).status_code == 422, query


async def test_invalid_todo_is_refused(browser: AsyncClient) -> None:
    for form, field in INVALID_FORMS:
        response = await browser.post("/todos", data=form)

        assert response.status_code == 422, form
        assert f'id="{field}-error"' in response.text
        assert f'value="{form.get("title", "")}"' in response.text
        assert board_numbers(response.text) == ["0"] * 4


async def test_missing_todo_is_not_found(browser: AsyncClient) -> None:
    for method, path in TODO_ROUTES:
        for todo_id in ["1", 2**63, "milk"]:
            response = await browser.request(
                method, f"/todos/{todo_id}{path}", data=TODO_FORM if method == "POST" else None
            )

            assert response.status_code == 404, (method, todo_id, path)


async def test_todo_is_added_without_javascript(browser: AsyncClient) -> None:
    response = await browser.post("/todos", data={"title": "Buy milk", "due_on": ""})
    assert (response.status_code, response.headers["location"]) == (303, "/todos#title")

    assert "Buy milk" in (await browser.get("/todos")).text


async def test_todo_is_edited(browser: AsyncClient, database: Database, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann, "Buy milk", notes="\n2 litres", due_on=date(2026, 3, 10))
    page = await browser.get(f"/todos/{todo.id}")
    assert 'value="Buy milk"' in page.text
    assert ">\n\n2 litres</textarea>" in page.text
    assert 'value="2026-03-10"' in page.text

    response = await browser.post(f"/todos/{todo.id}", data={"title": "Buy oat milk", "notes": "", "due_on": ""})

    assert (response.status_code, response.headers["location"]) == (303, "/todos")
    saved = await read_todo(database, todo)
    assert saved is not None
    assert (saved.title, saved.notes, saved.due_on) == ("Buy oat milk", "", None)


async def test_invalid_edit_saves_nothing(
    browser: AsyncClient, database: Database, ann: User, make_todo: MakeTodo
) -> None:
    todo = await make_todo(ann, "Buy milk")

    response = await browser.post(f"/todos/{todo.id}", data={"title": "", "notes": "typed"})

    assert response.status_code == 422
    assert 'id="title-error"' in response.text
    assert "typed</textarea>" in response.text
    assert (saved := await read_todo(database, todo)) is not None
    assert (saved.title, saved.notes) == ("Buy milk", "")


async def test_todo_is_done_and_open_again(
    browser: AsyncClient, database: Database, ann: User, make_todo: MakeTodo
) -> None:
    todo = await make_todo(ann)

    response = await browser.post(f"/todos/{todo.id}/done?q=write&page=1", data={"done": "true"})
    assert (response.status_code, response.headers["location"]) == (303, "/todos?q=write&page=1")
    assert (saved := await read_todo(database, todo)) is not None
    assert saved.done_at

    await browser.post(f"/todos/{todo.id}/done", data={"done": "false"})
    assert (saved := await read_todo(database, todo)) is not None
    assert saved.done_at is None


async def test_todo_is_deleted(browser: AsyncClient, database: Database, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann)

    response = await browser.post(f"/todos/{todo.id}/delete")

    assert (response.status_code, response.headers["location"]) == (303, "/todos")
    assert await read_todo(database, todo) is None


async def test_deleted_todo_can_be_restored(
    browser: AsyncClient, database: Database, ann: User, make_todo: MakeTodo
) -> None:
    todo = await make_todo(ann)
    await browser.post(f"/todos/{todo.id}/delete")

    response = await browser.post(f"/todos/{todo.id}/restore?state=open")

    assert (response.status_code, response.headers["location"]) == (303, "/todos?state=open")
    assert await read_todo(database, todo)


async def test_htmx_gets_the_undo_button(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann)
    response = await browser.post(f"/todos/{todo.id}/delete", headers=HTMX, follow_redirects=True)
    assert f'<form class="d-inline" method="post" action="/todos/{todo.id}/restore?">' in response.text


async def test_todo_outside_the_trash_is_not_restored(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann)
    assert (await browser.post(f"/todos/{todo.id}/restore")).status_code == 404


async def test_delete_form_is_sent_once(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann)
    form = (await browser.get("/todos")).text.partition(f'action="/todos/{todo.id}/delete')[2].partition("</form>")[0]
    assert 'name="form_token"' in form


async def test_htmx_gets_the_board(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann)

    response = await browser.post(
        f"/todos/{todo.id}/done?state=done", data={"done": "true"}, headers=HTMX, follow_redirects=True
    )

    assert response.text.lstrip().startswith('<section id="board"')
    assert board_numbers(response.text) == ["1", "0", "1", "0"]
    assert f'action="/todos/{todo.id}/done?state=done"' in response.text


async def test_done_must_be_a_boolean(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann)

    for done in ("", "perhaps"):
        assert (await browser.post(f"/todos/{todo.id}/done", data={"done": done})).status_code == 422


async def test_htmx_gets_the_form_with_errors(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann)

    for path in ("/todos", f"/todos/{todo.id}"):
        response = await browser.post(path, data={"title": ""}, headers=HTMX)
        assert (response.status_code, response.text.count("<form")) == (422, 1)
        assert 'id="title-error"' in response.text

        response = await browser.post(path, data={"title": "Buy milk"}, headers=HTMX)
        location = response.headers["HX-Replace-Url" if path == "/todos" else "HX-Redirect"]
        assert (response.status_code, location) == (200, "/todos")


async def test_todo_of_another_user_is_not_found(
    browser: AsyncClient, database: Database, bob: User, make_todo: MakeTodo
) -> None:
    todo = await make_todo(bob, "Secret")

    for method, path in TODO_ROUTES:
        response = await browser.request(
            method, f"/todos/{todo.id}{path}", data=TODO_FORM if method == "POST" else None
        )

        assert response.status_code == 404, (method, path)
        assert "Secret" not in response.text
    assert (saved := await read_todo(database, todo)) is not None
    assert (saved.title, saved.done_at) == ("Secret", None)


async def test_filter_keeps_its_values(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    await make_todo(ann, "Buy milk")
    await make_todo(ann, "Buy bread", done_at=utc_now())

    # Browsers also send empty fields.
    response = await browser.get("/todos?q=BUY&state=done&due_on__gte=&due_on__lte=")

    assert "Buy bread" in response.text
    assert "Buy milk" not in response.text
    assert 'value="BUY"' in response.text
    assert '<option value="done" selected>' in response.text


async def test_list_is_paginated(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    for number in range(3):
        await make_todo(ann, f"Task {number}")

    response = await browser.get("/todos?q=task&size=1&page=2")

    assert 'href="?q=task&amp;size=1&amp;page=1"' in response.text
    assert 'href="?q=task&amp;size=1&amp;page=3"' in response.text


async def test_list_is_sorted(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    for title in ("Apples", "bread", "Cheese"):
        await make_todo(ann, title)

    response = await browser.get("/todos?q=e&sort=-title&page=1")

    assert response.text.index("Cheese") < response.text.index("bread") < response.text.index("Apples")
    assert 'href="?q=e&amp;sort=title"' in response.text
    assert 'href="?q=e&amp;sort=due_on"' in response.text
    assert '<input type="hidden" name="sort" value="-title">' in response.text


async def test_large_numbers_have_separators(browser: AsyncClient, database: Database, ann: User) -> None:
    async with database.writer() as session:
        row = {"owner_id": ann.id, "title": "Tea", "notes": "", "created_at": utc_now(), "due_on": date(2020, 1, 1)}
        await session.execute(insert(Todo), [row] * 1001)
    assert board_numbers((await browser.get("/todos")).text) == ["1,001", "1,001", "0", "1,001"]
