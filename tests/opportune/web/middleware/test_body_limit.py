"""Limit for the size of request bodies."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Receive, Scope, Send

from opportune.web.middleware.body_limit import MAX_BODY_BYTES


@pytest.fixture
async def body_site(app: FastAPI, client: AsyncClient) -> AsyncClient:
    @app.post("/api/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.post("/api/parse")
    async def parse(body: list[int]) -> int:
        return len(body)

    return client


async def body_in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 100_000):
        yield b"1" * 100_000


async def test_body_over_limit_is_refused(body_site: AsyncClient) -> None:
    for path in ("/api/read", "/api/parse"):
        announced = await body_site.post(path, content=b"1" * (MAX_BODY_BYTES + 1))
        counted = await body_site.post(path, content=body_in_chunks(MAX_BODY_BYTES + 200_000))
        assert (announced.status_code, counted.status_code) == (413, 413), path


async def test_unannounced_body_is_counted(app: FastAPI, body_site: AsyncClient) -> None:
    async def by_http_2(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [header for header in scope["headers"] if header[0] != b"transfer-encoding"]
        await app({**scope, "http_version": "2", "headers": headers}, receive, send)

    async with AsyncClient(transport=ASGITransport(by_http_2), base_url="http://testserver") as client:
        response = await client.post("/api/read", content=body_in_chunks(MAX_BODY_BYTES + 200_000))
    assert response.status_code == 413


async def test_body_at_limit_is_accepted(body_site: AsyncClient) -> None:
    assert (await body_site.post("/api/read", content=b"1" * MAX_BODY_BYTES)).json() == MAX_BODY_BYTES


@pytest.mark.parametrize("length", ["-1", "abc", "9" * 30])
async def test_invalid_content_length_is_refused(body_site: AsyncClient, length: str) -> None:
    assert (await body_site.post("/api/read", headers={"Content-Length": length})).status_code == 413
