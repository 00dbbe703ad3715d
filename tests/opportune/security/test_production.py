"""A site with production settings: paths, cookies, links and outgoing requests."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from opportune.accounts.sign_in_redirects import LOGIN_PATH
from opportune.project.layout import FRAMEWORK, PACKAGE, PROJECT
from opportune.testing.access.sites import headers_by_role, sqlite_site
from opportune.testing.asgi_requests import send_request
from opportune.testing.factories import PASSWORD, make_user
from tests.opportune.security.hostile import encode_form

FORM = {"content-type": "application/x-www-form-urlencoded"}
SUSPICIOUS_PATHS = """
    /.env /.git/config /static/../.env /static/%2e%2e/pyproject.toml /static/..%2fpyproject.toml
    /static/%2e%2e%2fpyproject.toml /static//etc/passwd /static/..%5cpyproject.toml /files/..%2f..%2fpyproject.toml
    //admin /ADMIN /ADMIN/user/list /admin%2f /admin/..;/user/list /;/admin/user/list /./admin/user/list
    /%2e/admin/user/list /admin//user/list /api/docs /api/openapi.json /docs /openapi.json /mailbox
"""


@pytest.fixture
async def site(database_file: Path) -> AsyncIterator[FastAPI]:
    app = sqlite_site(database_file, environment="production", base_url="https://testserver")
    async with app.router.lifespan_context(app):
        yield app


async def test_suspicious_and_development_urls_are_not_found(site: FastAPI) -> None:
    for path in SUSPICIOUS_PATHS.split():
        response = await send_request(site, "GET", path)
        assert response.status in (303, 307, 403, 404), path
        assert not re.search(r"(?i)secret_key|\[tool|\[core\]|root:x|openapi", response.text), path
        assert response.status == 404 or path.lower().startswith("/admin") or path.startswith("/files"), path


async def test_cookies_are_secure_http_only_and_host_bound(site: FastAPI) -> None:
    headers = await headers_by_role(site)
    user = await make_user(site.state.database)
    form = encode_form({"email": user.email, "password": PASSWORD.replace(" ", "+")}).encode()
    signed_in = await send_request(site, "POST", LOGIN_PATH, FORM, form)
    cache_response = await send_request(site, "POST", "/admin/cache", {**headers["superuser"], **FORM}, b"tag=")
    cookies = [*signed_in.headers.getlist("set-cookie"), *cache_response.headers.getlist("set-cookie")]
    assert len(cookies) > 1
    for cookie in cookies:
        flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
        assert {"secure", "httponly"} <= flags, cookie
        assert flags & {"samesite=lax", "samesite=strict"}, cookie
        assert not any(flag.startswith("domain") for flag in flags), cookie
        # __Host- needs the path /, so cookies for other paths use __Secure-.
        assert cookie.startswith("__Host-" if "path=/" in flags else "__Secure-"), cookie


async def test_forged_host_headers_do_not_change_links(site: FastAPI) -> None:
    forwarded = {"x-forwarded-host": "evil.example", "forwarded": "host=evil.example", "x-host": "evil.example"}
    for url in (LOGIN_PATH, "/accounts/register", "/accounts/profile", "/nothing", "/admin"):
        response = await send_request(site, "GET", url, forwarded | {"x-forwarded-proto": "javascript"})
        assert "evil.example" not in response.text + str(response.headers), url


def test_only_configured_services_are_requested() -> None:
    """Visitors cannot choose a URL that the server requests, except web pages of the knowledge base."""
    client_import = re.compile(r"(?m)^\s*(import|from) (httpx2?|requests|aiohttp|urllib3|urllib\.request|http\.client)")
    files = [path for folder in (PROJECT / PACKAGE, FRAMEWORK) for path in folder.rglob("*.py")]
    files = [path for path in files if not {"testing", "cli", "rehearsal"} & {*path.parts}]
    requesting_files = [path for path in files if client_import.search(path.read_text())]
    assert {str(path.relative_to(PROJECT)) for path in requesting_files} == {
        "opportune/accounts/passwords/breaches.py",  # BREACHED_PASSWORDS_URL
        "opportune/accounts/sign_in_methods/provider_clients.py",
        "opportune/contrib/knowledge/web_page.py",  # users choose URLs, by the next client
        "opportune/contrib/public_client.py",  # refuses private addresses
        "opportune/contrib/llm_local/quickstart.py",  # quickstart: model servers on this machine
        "opportune/contrib/mcp/servers/client.py",
        "opportune/jobs/execution.py",  # HEARTBEAT_URL, and URLs in code of jobs
        "opportune/contrib/llm/providers/http_client.py",
        "opportune/contrib/llm/providers/factory.py",  # only reads the proxies of the environment
        "opportune/contrib/llm_vendors/event_streams.py",
        "opportune/contrib/llm_vendors/http_client.py",
        "opportune/contrib/tools/web_search_client.py",
        "opportune/mail/https.py",
        "opportune/contrib/telemetry/client_spans.py",  # observes requests
        "opportune/contrib/bounded_responses.py",  # as the next one
        "opportune/web/remote_responses.py",  # settings and limits of the clients above
    }
