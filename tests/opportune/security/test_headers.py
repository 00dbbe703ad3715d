"""Security headers of all kinds of responses."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from opportune.testing.access.sites import sqlite_site
from opportune.testing.asgi_requests import send_request
from opportune.web.middleware.body_limit import MAX_BODY_BYTES
from opportune.web.middleware.security_headers import SECURITY_HEADERS

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
PAGES = (
    dict.fromkeys(("/accounts/login", "/static/site.css", "/health", "/stream"), 200)
    | {"/accounts/profile": 303, "/admin/": 303, "/files/nothing": 403, "/nothing": 404, "/api/v1/users/me": 401}
    | {"/crash": 500}
)
REQUESTS = [
    *(("GET", path, {}, b"", status) for path, status in PAGES.items()),
    ("POST", "/accounts/login", {"origin": "https://evil.example"}, b"", 403),
    ("POST", "/accounts/login", FORM | {"content-length": str(MAX_BODY_BYTES + 1)}, b"", 413),
    ("POST", "/accounts/login", FORM, b"email=", 422),
    ("POST", "/api/v1/auth/register", JSON, b"{}", 422),
    ("GET", "/health", {"host": "evil.example"}, b"", 200),
    ("GET", "/accounts/login", {"host": "evil.example"}, b"", 400),
]


@pytest.fixture
async def site(database_file: Path) -> AsyncIterator[FastAPI]:
    """Site with BASE_URL, and with routes that crash and stream."""
    app = sqlite_site(database_file, base_url="http://testserver")

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter(["data: 1\n\n"]), media_type="text/event-stream")

    async with app.router.lifespan_context(app):
        yield app


async def test_all_responses_have_security_headers(site: FastAPI) -> None:
    for method, url, headers, body, status in REQUESTS:
        response = await send_request(site, method, url, headers, body)
        request = f"{method} {url} {headers}"
        assert response.status == status, request
        for name, value in SECURITY_HEADERS.items():
            assert response.headers.getlist(name) == [value], request
        (policy,) = response.headers.getlist("content-security-policy")
        rules = dict(rule.split(" ", 1) for rule in policy.split("; ") if " " in rule)
        assert rules["script-src"] == "'self'"
        assert [rules[name] for name in ("object-src", "base-uri", "frame-ancestors")] == ["'none'"] * 3
        assert not {"server", "access-control-allow-origin"} & set(response.headers.keys()), request
