import pytest
from fastapi import FastAPI, Request, Response
from httpx import ASGITransport, AsyncClient
from starlette.types import Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.testing.plugin import settings_for
from opportune.testing.quiet_app import quiet_app
from opportune.web.middleware.csrf import CsrfMiddleware

pytestmark = pytest.mark.database("sqlite")

OURS = "http://testserver"


@pytest.fixture
async def echo(app: FastAPI, client: AsyncClient) -> AsyncClient:
    """A site with a route that changes something."""

    @app.api_route("/change", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def change(request: Request) -> str:
        return request.method

    return client


TAKEN: list[dict[str, str]] = [
    {},
    {"Origin": OURS},
    {"Origin": OURS, "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Referer": f"{OURS}/books"},
    {"Origin": "https://evil.example", "Authorization": "Bearer x"},
]


async def test_cross_site_requests_are_refused(
    echo: AsyncClient,
) -> None:
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver:8080"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "of-a-browser-to-come"},
        {"Sec-Fetch-Site": "cross-site", "Origin": OURS},
        {"Referer": "https://evil.example/testserver"},
        {"Origin": "https://evil.example", "Authorization": "Bearer x", "Cookie": "session=y"},
    ):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            response = await echo.request(method, "/change", headers=headers)
            assert response.status_code == 403, method
            assert "another site" in response.text, headers

    for headers in TAKEN:
        assert (await echo.post("/change", headers=headers)).status_code == 200, headers

    link = {"Sec-Fetch-Site": "cross-site", "Referer": "https://evil.example/"}
    assert (await echo.get("/change", headers=link)).status_code == 200, "reading is open to links from anywhere"


async def test_base_url_counts_behind_tls_proxy(settings: Settings) -> None:
    app = quiet_app(settings.model_copy(update={"base_url": "https://site.example"}))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://site.example") as client:
        assert (await client.post("/health", headers={"Origin": "https://site.example"})).status_code == 405
        assert (await client.post("/health", headers={"Origin": "https://evil.example"})).status_code == 403


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
    ids=[
        "a page for http: is not ours where we have TLS",
        "another of our names may have none",
        "nor is it where the request came by TLS",
        "a proxy may end TLS",
        "a proxy that changes the name wants BASE_URL",
        "or a browser that says where it is",
        "BASE_URL",
        "BASE_URL has the last word",
    ],
)
async def test_same_origin_by_scheme_host_and_fetch_site(
    base_url: str, address: str, headers: dict[str, str], status: int
) -> None:
    async def taken(scope: Scope, receive: Receive, send: Send) -> None:
        await Response()(scope, receive, send)

    site = FastAPI()
    site.state.features = ()
    site.state.settings = settings = settings_for("sqlite:///never-opened.db").model_copy(update={"base_url": base_url})
    site.mount("/", CsrfMiddleware(taken, settings))
    async with AsyncClient(transport=ASGITransport(site), base_url=address) as client:
        assert (await client.post("/change", headers=headers)).status_code == status
