"""Refusal of unknown host names."""

import pytest
from httpx2 import ASGITransport, AsyncClient

from opportune.config.settings import Settings
from opportune.testing.app import create_test_app


@pytest.mark.parametrize(
    ("host", "status"),
    [("site.example", 200), ("www.site.example", 400), ("evil.example", 400), ("site.example.evil.example", 400)],
)
async def test_unknown_host_names_are_refused(settings: Settings, host: str, status: int) -> None:
    app = create_test_app(settings.model_copy(update={"base_url": "https://site.example"}))
    async with AsyncClient(transport=ASGITransport(app), base_url=f"http://{host}") as client:
        assert (await client.get("/accounts/login")).status_code == status
        assert (await client.get("/health/live")).status_code == 200, "health checks accept any host name"
