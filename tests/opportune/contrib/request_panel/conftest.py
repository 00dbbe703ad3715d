from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.config.settings import Settings
from opportune.contrib.request_panel.records import RequestRecord

Probe = Callable[[Callable[..., Any]], Awaitable[RequestRecord]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of a site in development that records requests."""
    return settings.model_copy(update={"environment": "development", "debug": True, "jobs": "off"})


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client on this machine."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def records(app: FastAPI) -> list[RequestRecord]:
    """The stored requests, newest first. The list is read when it is used."""
    stored: list[RequestRecord] = app.state.request_records.all
    return stored


@pytest.fixture
def probe(app: FastAPI, client: AsyncClient, records: list[RequestRecord]) -> Probe:
    """Requests a route with this function, and returns its record."""

    async def record(route: Callable[..., Any]) -> RequestRecord:
        app.add_api_route("/probe", route)
        await client.get("/probe")
        return records[0]

    return record
