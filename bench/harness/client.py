"""Client of a site in this process, without a server."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.application import create_app
from opportune.testing.plugin import settings_for


@asynccontextmanager
async def site_client(url: str) -> AsyncIterator[tuple[FastAPI, AsyncClient]]:
    """Start a site without jobs on this database, and yield it with a client."""
    app = create_app(settings_for(url).model_copy(update={"jobs": "off"}))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client,
    ):
        yield app, client


async def fetch_page(client: AsyncClient, path: str, text: str) -> None:
    """Fetch a page with this text. Another response ends the program."""
    response = await client.get(path)
    if response.status_code != 200 or text not in response.text:
        sys.exit(f"{path} returned status {response.status_code}: {response.text[:500]}")
