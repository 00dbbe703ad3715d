import logging

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from app.core.settings import Settings
from app.main import create_app
from tests.factories import signed_in_client

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.mark.parametrize(
    "path",
    ["/accounts/login", "/nothing", "/static/site.css", "/static/nothing", "/health/live", "/accounts/profile", "/api/v1/users/me", "/admin"],
)
async def test_every_answer_has_the_security_headers(client: AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert EVERYWHERE.items() <= dict(headers).items()
    script = next(part for part in headers["content-security-policy"].split("; ") if part.startswith("script-src"))
    assert script == "script-src 'self'"


async def test_a_refusal_has_them_too(client: AsyncClient) -> None:
    response = await client.post("/", headers={"Origin": "https://evil.example"})
    assert EVERYWHERE.items() <= dict(response.headers).items()


async def test_strict_transport_is_asked_for_in_production_over_tls_alone(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"environment": "production"}))
    for scheme, expected in (("https", True), ("http", False)):
        async with AsyncClient(transport=ASGITransport(app), base_url=f"{scheme}://testserver") as client:
            response = await client.get("/health/live")
            assert ("strict-transport-security" in response.headers) is expected


async def test_a_request_has_a_number_in_its_answer_and_its_log_line(
    client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.request")
    response = await client.get("/accounts/login?token=hidden", headers={"X-Request-ID": "from-the-proxy"})
    assert response.headers["x-request-id"] == "from-the-proxy"
    assert "GET /accounts/login 200" in caplog.text
    assert "hidden" not in caplog.text, "the query may hold a token"


@pytest.mark.parametrize("number", ["short", "x" * 65, "with space in it", "line\\nbreak-here"])
async def test_a_strange_number_is_replaced(client: AsyncClient, number: str) -> None:
    response = await client.get("/health/live", headers={"X-Request-ID": number})
    assert response.headers["x-request-id"] != number


async def test_pages_of_people_who_are_signed_in_are_not_stored(app: FastAPI) -> None:
    async with signed_in_client(app) as client:
        assert (await client.get("/accounts/profile")).headers["cache-control"] == "no-store"
