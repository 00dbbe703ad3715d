"""Headers that the outermost middleware adds to responses, and its log line."""

import logging

import pytest
from fastapi import FastAPI, Response
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Message

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.testing.factories import signed_in_client


async def test_invalid_request_id_is_replaced(client: AsyncClient) -> None:
    for request_id in ("short", "x" * 65, "with space in it", "line\\nbreak-here"):
        response = await client.get("/health/live", headers={"X-Request-ID": request_id})
        assert response.headers["x-request-id"] != request_id


async def test_anonymous_page_is_revalidated(client: AsyncClient) -> None:
    # After sign-in, neither the browser nor a shared cache may reuse the page.
    assert (await client.get("/accounts/login")).headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("base_url", "scheme", "has_header"),
    [
        ("", "https", True),
        ("", "http", False),
        pytest.param("https://testserver", "http", True, id="proxy that ends TLS"),
        pytest.param("http://testserver", "https", False, id="site without TLS"),
    ],
)
async def test_hsts_only_over_tls(settings: Settings, base_url: str, scheme: str, has_header: bool) -> None:
    app = create_app(settings.model_copy(update={"environment": "production", "base_url": base_url}))
    async with AsyncClient(transport=ASGITransport(app), base_url=f"{scheme}://testserver") as client:
        response = await client.get("/health/live")
    assert ("strict-transport-security" in response.headers) is has_header


async def test_headers_of_route_are_not_duplicated(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"environment": "production"}))

    @app.get("/headers")
    async def set_headers(response: Response) -> None:
        response.headers.update({"strict-transport-security": "max-age=1", "x-request-id": "from-the-route"})

    async with AsyncClient(transport=ASGITransport(app), base_url="https://testserver") as client:
        headers = (await client.get("/headers", headers={"x-request-id": "from-the-proxy"})).headers
    assert headers.get_list("strict-transport-security") == ["max-age=1"]
    assert headers.get_list("x-request-id") == ["from-the-proxy"]


async def test_request_id_is_in_response_and_log(client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "opportune.request")
    response = await client.get("/accounts/login?token=hidden", headers={"X-Request-ID": "from-the-proxy"})
    assert response.headers["x-request-id"] == "from-the-proxy"
    assert "GET /accounts/login 200" in caplog.text
    assert "hidden" not in caplog.text, "the query may contain a token"


async def test_paths_like_quiet_ones_are_logged(client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "opportune.request")
    for path in ("/statistics", "/healthy-food", "/static/site.css", "/health/live"):
        await client.get(path)
    assert [record.getMessage().split()[1] for record in caplog.records] == ["/statistics", "/healthy-food"]


async def test_only_pages_of_the_admin_may_have_style_attributes(client: AsyncClient) -> None:
    for path, allows_styles in (("/admin", True), ("/admin/list", True), ("/administration", False)):
        policy = (await client.get(path)).headers["content-security-policy"]
        assert ("style-src 'self' 'unsafe-inline'" in policy) is allows_styles, path


async def test_responses_to_users_are_not_stored(client: AsyncClient, user_client: AsyncClient) -> None:
    for path in ("/accounts/profile", "/api/v1/users/me"):
        assert (await user_client.get(path)).headers["cache-control"] == "no-store", path
        program = await client.get(path, headers={"Authorization": "Bearer x"})
        assert program.headers["cache-control"] == "no-store", path


async def test_cache_control_of_route_is_unchanged(app: FastAPI) -> None:
    @app.get("/public")
    async def public(response: Response) -> None:
        response.headers["Cache-Control"] = "public, max-age=60"

    async with signed_in_client(app) as client:
        assert (await client.get("/public")).headers["cache-control"] == "public, max-age=60"
        assert (await client.get("/static/site.css")).headers["cache-control"] == "public, no-cache"


async def test_disconnect_during_body_is_not_an_error(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "opportune")
    request: Message = {"type": "http.request", "body": b"{", "more_body": True}
    messages = iter([request, {"type": "http.disconnect"}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"testserver"), (b"content-type", b"application/json")]
    scope: dict[str, object] = {"type": "http", "http_version": "1.1", "scheme": "http", "method": "POST"}
    scope |= {"path": "/api/v1/auth/register", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert sent == []
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "POST /api/v1/auth/register cut" in caplog.text
