"""Refusal of unknown host names, and of cross-site requests that write."""

import pytest
from fastapi import FastAPI, Request, Response
from httpx2 import ASGITransport, AsyncClient
from starlette.types import Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.testing.app import create_test_app
from opportune.testing.plugin import settings_for
from opportune.web.middleware.origins import CsrfMiddleware


@pytest.mark.parametrize("root", ["", "/site"])
@pytest.mark.parametrize(("host", "status"), [("site.example", 200), ("site.example.evil.example", 400)])
async def test_unknown_host_names_are_refused(settings: Settings, host: str, status: int, root: str) -> None:
    values = {"base_url": "https://site.example", "environment": "development"}
    app = create_test_app(settings.model_copy(update=values))
    async with AsyncClient(transport=ASGITransport(app, root_path=root), base_url=f"http://{host}{root}") as client:
        response = await client.get("/accounts/login")
        assert (response.status_code, "Accepted: site.example." in response.text) == (status, status == 400)
        assert (await client.get("/health/live")).status_code == 200, "health checks accept any host name"


SITE_ORIGIN = "http://testserver"


@pytest.fixture
async def site(app: FastAPI, client: AsyncClient) -> AsyncClient:
    @app.api_route("/change", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def change(request: Request) -> str:
        return request.method

    return client


OTHER_ORIGINS = ("https://evil.example", "null", "http://testserver.evil.example", "http://testserver:8080", "http://[")
CROSS_SITE_HEADERS: tuple[dict[str, str], ...] = (
    *({"Origin": origin} for origin in OTHER_ORIGINS),
    *({"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "a-future-value")),
    {"Sec-Fetch-Site": "cross-site", "Origin": SITE_ORIGIN},
    {"Referer": "https://evil.example/testserver"},
    {"Origin": "https://evil.example", "Authorization": "Bearer x", "Cookie": "session=y"},
)


async def test_cross_site_request_is_refused(site: AsyncClient) -> None:
    for headers in CROSS_SITE_HEADERS:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            response = await site.request(method, "/change", headers=headers)
            assert response.status_code == 403, method
            assert "another site" in response.text, headers


ACCEPTED_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"Origin": SITE_ORIGIN},
    {"Origin": SITE_ORIGIN, "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Referer": f"{SITE_ORIGIN}/books"},
    {"Origin": "https://evil.example", "Authorization": "Bearer x"},
)


async def test_request_of_site_or_program_and_link_are_accepted(site: AsyncClient) -> None:
    for headers in ACCEPTED_HEADERS:
        assert (await site.post("/change", headers=headers)).status_code == 200, headers
    headers = {"Sec-Fetch-Site": "cross-site", "Referer": "https://evil.example/"}
    assert (await site.get("/change", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("base_url", "address", "headers", "status"),
    [
        ("https://site.example", "http://site.example", {"Origin": "http://site.example"}, 403),
        ("https://site.example", "http://inside:8000", {"Origin": "http://inside:8000"}, 200),
        ("", "https://site.example", {"Origin": "http://site.example"}, 403),
        ("", "http://site.example", {"Origin": "https://site.example"}, 200),
        ("", "http://inside:8000", {"Origin": "https://site.example"}, 403),
        ("", "http://inside:8000", {"Origin": "https://site.example", "Sec-Fetch-Site": "same-origin"}, 200),
        ("https://site.example", "http://inside", {"Origin": "https://site.example"}, 200),
        ("https://site.example", "http://x", {"Origin": "https://x.example", "Sec-Fetch-Site": "same-origin"}, 403),
    ],
)
async def test_origin_by_scheme_host_and_site(
    base_url: str, address: str, headers: dict[str, str], status: int
) -> None:
    async def accept(scope: Scope, receive: Receive, send: Send) -> None:
        await Response()(scope, receive, send)

    site = FastAPI()
    site.state.navigation = site.state.navigation_templates = ()
    site.state.settings = settings = settings_for("sqlite:///never-opened.db").model_copy(update={"base_url": base_url})
    site.mount("/", CsrfMiddleware(accept, settings))
    async with AsyncClient(transport=ASGITransport(site), base_url=address) as client:
        assert (await client.post("/change", headers=headers)).status_code == status
