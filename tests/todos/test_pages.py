"""Pages of to-dos, with and without htmx."""

from datetime import date
from urllib.parse import urlsplit

from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from app.todos.models import Todo
from opportune.accounts import User
from opportune.db import Database, utc_now
from opportune.testing import make_user, sign_in_browser
from tests.todos.conftest import MakeTodo, board_numbers

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
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


async def test_list_page_shows_only_own_todos(browser: AsyncClient, user: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(user, "Buy <b>milk</b>")
    await make_todo(bob, "Secret")
    response = await browser.get("/todos")
    assert response.status_code == 200
    assert "Buy &lt;b&gt;milk&lt;/b&gt;" in response.text
    assert "Secret" not in response.text
    assert board_numbers(response.text) == ["1", "1", "0", "0"]


async def test_invalid_todo_is_refused(browser: AsyncClient) -> None:
    for form, field in INVALID_FORMS:
        response = await browser.post("/todos", data=form)
        assert response.status_code == 422, form
        assert f'id="{field}-error"' in response.text
        assert f'value="{form.get("title", "")}"' in response.text
        assert board_numbers(response.text) == ["0"] * 4


async def test_todo_is_edited(browser: AsyncClient, database: Database, user: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(user, "Buy milk", notes="\n2 litres", due_on=date(2026, 3, 10))
    page = await browser.get(f"/todos/{todo.id}")
    assert 'value="Buy milk"' in page.text
    assert ">\n\n2 litres</textarea>" in page.text
    assert 'value="2026-03-10"' in page.text
    response = await browser.post(f"/todos/{todo.id}", data={"title": "Buy oat milk", "notes": "", "due_on": ""})
    assert (response.status_code, response.headers["location"]) == (303, "/todos")
    saved = await read_todo(database, todo)
    assert saved is not None
    assert (saved.title, saved.notes, saved.due_on) == ("Buy oat milk", "", None)


async def test_todo_is_done_and_open(browser: AsyncClient, database: Database, user: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(user)
    response = await browser.post(f"/todos/{todo.id}/done?q=write&page=1", data={"done": "true"})
    assert (response.status_code, response.headers["location"]) == (303, "/todos?q=write&page=1")
    assert (saved := await read_todo(database, todo)) is not None
    assert saved.done_at
    await browser.post(f"/todos/{todo.id}/done", data={"done": "false"})
    assert (saved := await read_todo(database, todo)) is not None
    assert saved.done_at is None


async def test_todo_is_restored(browser: AsyncClient, database: Database, user: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(user)
    response = await browser.post(f"/todos/{todo.id}/delete")
    assert (response.status_code, response.headers["location"]) == (303, "/todos")
    assert await read_todo(database, todo) is None
    page = await browser.get("/todos")
    assert f'<form class="d-inline" method="post" action="/todos/{todo.id}/restore?">' in page.text
    response = await browser.post(f"/todos/{todo.id}/restore?state=open")
    assert (response.status_code, response.headers["location"]) == (303, "/todos?state=open")
    assert await read_todo(database, todo)


async def test_htmx_gets_the_board(browser: AsyncClient, user: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(user)
    response = await browser.post(
        f"/todos/{todo.id}/done?state=done", data={"done": "true"}, headers=HTMX, follow_redirects=True
    )
    assert response.text.lstrip().startswith('<section id="board"')
    assert board_numbers(response.text) == ["1", "0", "1", "0"]
    assert f'action="/todos/{todo.id}/done?state=done"' in response.text


async def test_foreign_todo_is_hidden(browser: AsyncClient, database: Database, bob: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(bob, "Secret")
    for method, path in [("GET", ""), ("POST", ""), ("POST", "/done"), ("POST", "/delete"), ("POST", "/restore")]:
        response = await browser.request(
            method, f"/todos/{todo.id}{path}", data=TODO_FORM if method == "POST" else None
        )
        assert response.status_code == 404, (method, path)
        assert "Secret" not in response.text
    assert (saved := await read_todo(database, todo)) is not None
    assert (saved.title, saved.done_at) == ("Secret", None)


async def test_start_page_lists_open_todos_of_user(
    browser: AsyncClient, user: User, bob: User, make_todo: MakeTodo, client: AsyncClient
) -> None:
    await make_todo(user, title="Ring the bell")
    await make_todo(user, title="Old phone", done_at=utc_now())
    await make_todo(bob, title="Bake bread")
    page = (await browser.get("/")).text
    assert [title in page for title in ("Ring the bell", "Old phone", "Bake bread")] == [True, False, False]
    assert 'id="open-todos"' not in (await client.get("/")).text


async def test_todos_are_added_with_the_keyboard(page: Page, app: FastAPI, site: str) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database), site)
    await page.goto("/todos?q=nothing")
    field = page.locator("[name=title]")
    await field.focus()
    for count, title in enumerate(("Buy milk", "Water the plants"), 1):
        await page.keyboard.insert_text(title)
        await page.keyboard.press("Enter")
        await expect(page.locator("#board").get_by_role("status")).to_contain_text(str(count))
        await expect(page.get_by_role("link", name=title)).to_be_visible()
        await expect(field).to_be_focused()
        await expect(field).to_have_value("")
    assert await page.locator("main [name=q]").input_value() == ""
    assert urlsplit(page.url)[2:4] == ("/todos", "")
