"""CORS_ORIGINS: pages of other origins may call the API with a token, but not with cookies."""

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from opportune.config.settings import Settings, load_settings
from opportune.errors import SettingsError

APP = "https://app.example.org"
OTHER = "https://evil.example"
ORIGIN = "access-control-allow-origin"
SIGN_IN = "/api/v1/auth/login"
CREDENTIALS = {"username": "unknown@example.com", "password": "wrong"}


@pytest.fixture
def origins() -> list[str]:
    return [APP]


@pytest.fixture
def settings(settings: Settings, origins: list[str]) -> Settings:
    return settings.model_copy(update={"cors_origins": origins})


async def preflight(client: AsyncClient, origin: str, path: str = "/api/v1/users/me") -> Response:
    names = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,x-team"}
    headers = {"Origin": origin, **names}
    return await client.options(path, headers=headers)


@pytest.mark.parametrize("root", ["", "/site"])
async def test_preflight_allows_listed_origins_without_credentials(app: FastAPI, root: str) -> None:
    client = AsyncClient(transport=ASGITransport(app, root_path=root), base_url=f"http://testserver{root}")
    response = await preflight(client, APP)
    assert (response.status_code, response.headers.get(ORIGIN)) == (200, APP)
    assert "PATCH" in response.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in response.headers
    response = await preflight(client, OTHER)
    assert (response.status_code, response.headers.get(ORIGIN)) == (400, None)


async def test_listed_origin_can_read_error_responses(app: FastAPI, client: AsyncClient) -> None:
    app.add_api_route("/api/crash", lambda: 1 / 0)
    for path, status in (("/api/v1/users/me", 401), ("/api/crash", 500)):
        response = await client.get(path, headers={"Origin": APP})
        assert (response.status_code, response.headers.get(ORIGIN)) == (status, APP)
        assert "origin" in response.headers["vary"].lower()


async def test_pages_have_no_cors_headers(client: AsyncClient) -> None:
    assert (await client.get("/accounts/login", headers={"Origin": APP})).headers.get(ORIGIN) is None
    assert (await preflight(client, APP, "/accounts/login")).headers.get(ORIGIN) is None


@pytest.mark.parametrize(("origin", "status"), [(APP, 401), (OTHER, 403)])
async def test_listed_origins_sign_in_for_a_token(client: AsyncClient, origin: str, status: int) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    assert (await client.post(SIGN_IN, data=CREDENTIALS, headers=headers)).status_code == status


async def test_cookies_of_a_listed_origin_are_refused(client: AsyncClient) -> None:
    headers = {"Origin": APP, "Sec-Fetch-Site": "cross-site", "Cookie": "session=x"}
    response = await client.post(SIGN_IN, data=CREDENTIALS, headers=headers)
    assert (response.status_code, response.headers.get(ORIGIN)) == (403, APP)


@pytest.mark.parametrize("origins", [["*"]])
async def test_star_allows_every_origin(client: AsyncClient) -> None:
    assert (await client.get("/api/v1/users/me", headers={"Origin": OTHER})).headers.get(ORIGIN) == "*"
    posted = await client.post(SIGN_IN, data=CREDENTIALS, headers={"Origin": OTHER, "Sec-Fetch-Site": "cross-site"})
    assert posted.status_code == 401


@pytest.mark.parametrize("origins", [[]])
async def test_no_origin_is_allowed_by_default(client: AsyncClient) -> None:
    assert (await client.get("/api/v1/users/me", headers={"Origin": APP})).headers.get(ORIGIN) is None


def test_origins_are_normalized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://App.example.org/, http://localhost:5173,http://[::1]:80")
    assert load_settings(_env_file=None).cors_origins == [APP, "http://localhost:5173", "http://[::1]:80"]


@pytest.mark.parametrize("value", ["app.example.org", "https://*.example.org", "null"])
def test_malformed_origin_is_a_settings_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", value)
    with pytest.raises(SettingsError, match=r"^CORS_ORIGINS: must be origins without a path"):
        load_settings(_env_file=None)
