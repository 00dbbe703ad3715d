"""Error responses as pages and as problem details, and their lines in the log."""

import asyncio
import logging
from itertools import product
from typing import Any, cast

import pytest
from fastapi import FastAPI, Form, HTTPException
from httpx2 import AsyncClient
from jinja2 import DictLoader
from pydantic import BaseModel
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.orm.exc import StaleDataError

from opportune.errors import FieldErrors
from opportune.schemas.text import Text
from opportune.web.rendering.templates import templates

HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}
HTMX = HTML | {"HX-Request": "true", "HX-Request-Type": "partial"}


class SignIn(BaseModel):
    email: int
    password: Text


@pytest.fixture
async def faulty(app: FastAPI, client: AsyncClient) -> AsyncClient:
    mounted = FastAPI()
    app.mount("/mounted", mounted)

    @mounted.get("/crash")
    async def crash_in_mount() -> None:
        raise ValueError("in a mount")

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("the password is s3cret")

    @app.post("/down")
    @app.get("/down")
    async def down(cause: str = "") -> None:
        raise OperationalError("SELECT secret", {}, Exception(f"{cause} password=s3cret"))

    @app.get("/nul")
    async def nul() -> None:
        raise DataError("INSERT", {}, Exception("NUL"))

    @app.get("/stale")
    async def stale() -> None:
        raise StaleDataError

    @app.post("/api/sign-in")
    async def sign_in(body: SignIn) -> None:
        raise FieldErrors({"lines.1.price": "Too much."})

    @app.post("/form")
    async def form(field: str = Form()) -> None: ...

    @mounted.get("/endless")
    @app.get("/endless")
    @app.post("/endless")
    async def endless() -> None:
        app.state.is_draining = True
        cast("asyncio.Task[None]", asyncio.current_task()).cancel()
        await asyncio.sleep(0)

    return client


@pytest.mark.parametrize("path", ["/endless", "/mounted/endless"])
async def test_request_cancelled_by_a_stop_is_503(faulty: AsyncClient, path: str) -> None:
    problem = await faulty.get(path, headers=JSON)
    assert (problem.status_code, problem.headers["retry-after"]) == (503, "2")
    assert "x-frame-options" in problem.headers


async def test_change_cancelled_by_a_stop_is_not_repeated(faulty: AsyncClient) -> None:
    problem = await faulty.post("/endless", headers=JSON)
    assert (problem.status_code, problem.headers.get("retry-after")) == (503, None)
    assert "Your change may have been saved." in problem.json()["detail"]


async def test_crash_in_a_mount_is_logged(faulty: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    assert (await faulty.get("/mounted/crash")).status_code == 500
    assert "ValueError: in a mount" in caplog.text


async def test_error_page_has_the_menu_of_the_user(user_client: AsyncClient) -> None:
    page = await user_client.get("/nothing", headers=HTML)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is nothing at this address." in page.text
    assert 'id="sign-out"' in page.text


async def test_json_client_gets_problem_details(client: AsyncClient) -> None:
    problem = await client.get("/nothing", headers=JSON)
    assert problem.headers["content-type"] == "application/problem+json"
    details = {"title": "Not Found", "status": 404, "detail": "There is nothing at this address."}
    request_id = problem.headers["x-request-id"]
    assert problem.json() == {"request_id": request_id, "type": "about:blank", **details}


@pytest.mark.language("de")
async def test_libraries_refusals_are_translated(faulty: AsyncClient) -> None:
    too_long = await faulty.post("/form", files={"field": (None, b"x" * 1_100_000)}, headers=HTML)
    malformed = await faulty.post("/form", content=b"x", headers=HTML | {"Content-Type": "multipart/form-data"})
    assert (too_long.status_code, "Die Anfrage ist zu groß." in too_long.text) == (413, True)
    assert (malformed.status_code, "Die Anfrage ist ungültig." in malformed.text) == (400, True)


@pytest.mark.parametrize("detail", [{"code": "sold_out", "left": 0}, [], 0])
async def test_detail_of_a_route_is_any_json_value(app: FastAPI, client: AsyncClient, detail: Any) -> None:
    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(409, detail)

    assert (await client.get("/refused", headers=JSON)).json()["detail"] == detail
    assert "This conflicts with existing data." in (await client.get("/refused", headers=HTML)).text


@pytest.mark.parametrize("status", [499, 520, 599])
async def test_status_of_a_route_may_have_no_name(app: FastAPI, client: AsyncClient, status: int) -> None:
    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(status, "Gone fishing.") from FileNotFoundError()

    problem = (await client.get("/refused", headers=JSON)).json()
    assert (problem["status"], problem["title"], problem["detail"]) == (status, f"Error {status}", "Gone fishing.")


async def test_error_has_the_number_of_the_log(app: FastAPI, client: AsyncClient) -> None:
    @app.get("/refused/{status}")
    async def refused(status: int) -> None:
        if status == 500:
            raise RuntimeError
        raise HTTPException(status)

    for status, headers in product((400, 422, 500, 503), (HTML, HTMX, JSON)):
        response = await client.get(f"/refused/{status}", headers=headers)
        number = response.headers["x-request-id"]
        assert (response.status_code, number in response.text) == (status, True)
        assert "database is not available" not in response.text
        parts = "<!doctype html>" in response.text, f'data-text="{number}"' in response.text
        assert parts == (headers is HTML, headers is not JSON)
        assert (response.headers.get("HX-Reswap") == "none") == (headers is HTMX)  # the form stays as it is


async def test_error_page_works_without_templates(
    faulty: AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(templates.environment, "loader", DictLoader({}))
    response = await faulty.get("/crash", headers=HTML | {"Accept-Language": "en"})
    assert (response.status_code, response.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert f"<code>{response.headers['x-request-id']}</code>" in response.text
    assert "the password is s3cret" in caplog.text


async def test_crash_is_logged_and_hidden_from_visitors(faulty: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    response = await faulty.get("/crash")
    assert response.status_code == 500
    assert "s3cret" not in response.text
    assert "Traceback" not in response.text
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "RuntimeError: the password is s3cret" in caplog.text


async def test_unavailable_database_is_503_with_retry(faulty: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    response = await faulty.get("/down", headers=JSON)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert response.json()["detail"] == "The database is not available. Try again in a moment."
    assert "s3cret" not in response.text + caplog.text
    assert caplog.records[-1].levelno <= logging.ERROR


async def test_unavailable_page_reloads(faulty: AsyncClient) -> None:
    page = await faulty.get("/down", headers=HTML)
    assert (page.status_code, page.headers["Retry-After"]) == (503, "2")
    assert '<meta http-equiv="refresh" content="5">' in page.text
    assert "This page reloads every" in page.text


async def test_unavailable_page_after_a_form_does_not_reload(faulty: AsyncClient) -> None:
    after_post = await faulty.post("/down", headers=HTML)
    after_htmx = await faulty.get("/down", headers={"HX-Request": "true"})
    for response in (after_post, after_htmx):
        assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
        assert "http-equiv" not in response.text
        assert "send it again" in response.text


OUTAGES = [
    ("database is locked", "is locked by another process"),
    ("database or disk is full", "is full"),
    ("Connection refused", "No server responds at"),
    ("no such table: t", "python3 oppman.py migrate"),
    ("QueuePool limit of size 5", "are in use"),
]


async def test_log_has_reason_of_database_outage(faulty: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    for cause, explanation in OUTAGES:
        response = await faulty.get("/down", params={"cause": cause})
        assert response.status_code == 503
        assert explanation in caplog.text
        assert explanation not in response.text
        assert "s3cret" not in response.text + caplog.text


async def test_data_error_is_422_and_lost_row_409(faulty: AsyncClient) -> None:
    assert [(await faulty.get(path)).status_code for path in ("/nul", "/stale")] == [422, 409]


async def test_errors_name_nested_fields_without_the_input(faulty: AsyncClient) -> None:
    response = await faulty.post("/api/sign-in", json={"email": "x", "password": {"s3cret": 1}})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [["email"], ["password"]]
    assert "s3cret" not in response.text
    response = await faulty.post("/api/sign-in", json={"email": 1, "password": "x"})
    assert response.json()["errors"] == [{"field": ["lines", "1", "price"], "message": "Too much."}]


async def test_body_of_another_type_is_415(faulty: AsyncClient) -> None:
    response = await faulty.post("/api/sign-in", content=b'{"email": 1, "password": "x"}')
    assert response.status_code == 415
    assert response.json()["detail"] == "Send JSON with the header Content-Type: application/json."
    response = await faulty.post("/form", json={"field": "x"}, headers=JSON)
    assert response.json()["detail"] == "Send a form with the header Content-Type: application/x-www-form-urlencoded."


async def test_405_names_the_methods_of_all_routes(faulty: AsyncClient) -> None:
    assert (await faulty.put("/down", headers=JSON)).headers["allow"] == "GET, POST"


HOSTILE: list[tuple[bytes, set[int]]] = [
    (b'{"email": 1, "password": "\\ud800"}', {422}),
    (b"[" * 100_000, {400, 422}),
    (b'{"email": ' + b"9" * 10_000 + b', "password": "x"}', {400, 422}),
    (b'{"email": NaN, "password": "x"}', {422}),
    (b"\xff\xfe", {400, 422}),
]


async def test_hostile_json_is_refused(faulty: AsyncClient) -> None:
    for body, status in HOSTILE:
        response = await faulty.post("/api/sign-in", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in status, body[:20]
