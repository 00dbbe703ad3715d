"""Secrets stay out of logs and responses, and old keys verify signatures after a rotation."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from logging.config import DictConfigurator
from pathlib import Path
from time import time
from types import MappingProxyType, SimpleNamespace

import pytest
from fastapi import FastAPI, Request, Response
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from starlette.datastructures import Headers

from opportune.accounts.flows.email_sign_in import SignInRequest
from opportune.accounts.models import User
from opportune.accounts.sessions import cookies
from opportune.config.settings import Settings
from opportune.config.signing import derived_key, seal, signer, unseal, unseal_as
from opportune.server.log_formats import MAX_TRACE_LENGTH
from opportune.server.logging import logging_config
from opportune.testing.access.sites import sqlite_site
from opportune.testing.asgi_requests import send_request
from opportune.testing.factories import make_user
from opportune.testing.plugin import settings_for
from tests.opportune.security.hostile import CANARY

SITE = settings_for("sqlite:///never-opened.db")
WITH_NEW_KEY = SITE.model_copy(update={"secret_key": SecretStr("a newer key, as long as they have to be")})
WITH_FALLBACK_KEY = WITH_NEW_KEY.model_copy(update={"secret_key_fallbacks": SITE.secret_key})


@pytest.fixture
async def crashing_site(database_file: Path) -> AsyncIterator[FastAPI]:
    """Site with canary values as secrets, and a page that fails."""
    names = [name for name, field in Settings.model_fields.items() if field.annotation is SecretStr]
    secrets = {name: SecretStr(CANARY) for name in names if not name.endswith(("_url", "_dsn"))}
    app = sqlite_site(database_file, **secrets)

    @app.post("/crash")
    async def crash() -> None:
        raise RuntimeError("on purpose")

    async with app.router.lifespan_context(app):
        yield app


async def test_secrets_are_not_logged_or_returned(crashing_site: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    """Send a password, a token and a cookie to URLs that accept, refuse and crash."""
    caplog.set_level(logging.DEBUG)
    user = await make_user(crashing_site.state.database)
    body = {"email": user.email, "username": user.email, "password": CANARY, "current_password": CANARY}
    headers = {"Authorization": f"Bearer {CANARY}", "Cookie": f"session={CANARY}", "X-Request-ID": f"{CANARY}\n"}
    async with AsyncClient(transport=ASGITransport(crashing_site), base_url="http://testserver") as client:
        for path in ("/accounts/login", "/accounts/register", "/crash", "/nothing", "/health"):
            for content in ({"data": body}, {"json": body}, {"content": json.dumps(body)[:-1]}):
                response = await client.post(f"{path}?token={CANARY}", headers=headers, **content)
                assert CANARY not in response.text + str(response.headers), path
        for path in ("/api/v1/auth/login", "/api/v1/auth/register", "/api/v1/users/me"):
            for method in ("POST", "PATCH"):
                url = f"{path}?token={CANARY}"
                response = await client.request(method, url, headers=headers, json={"password": body})
                assert CANARY not in response.text + str(response.headers), path
    log_lines = [str(vars(record)) for record in caplog.records if record.name != "httpx2"]
    assert any("on purpose" in line for line in log_lines)
    assert [line for line in log_lines if CANARY in line] == []


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_tracebacks_are_logged_without_secrets(log_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SITE.model_copy(update={"log_format": log_format, "mail_url": SecretStr(f"smtp://me:{CANARY}@host")})
    monkeypatch.setattr("opportune.server.log_formats.get_settings", lambda: settings)
    formatter = DictConfigurator({}).configure_formatter(logging_config(settings)["formatters"][log_format])
    message = f"{CANARY} is wrong. https://a:other-{CANARY}@host, pwd=x{CANARY}, Authorization: Basic {CANARY}"
    at_the_cut = CANARY + "." * (MAX_TRACE_LENGTH - len(CANARY) // 2 - len(message))
    error_info = RuntimeError, RuntimeError(f"{at_the_cut} {message}"), None
    record = logging.makeLogRecord({"msg": "failed", "exc_info": error_info, "request_id": ""})
    text = formatter.format(record)
    assert "is wrong" in text
    assert CANARY[-4:] not in text


async def test_visitors_cannot_forge_log_lines(crashing_site: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "opportune.request")
    await send_request(crashing_site, "GET", "/x%0d%0a2026-11-20 INFO forged%1b[2J")
    assert caplog.records
    config = logging_config(SITE)["formatters"]["text"]
    formatter = config["()"]()
    for record in caplog.records:
        record.request_id = "1"
        assert len(formatter.format(record).splitlines()) == 1


def test_fallback_keys_still_verify_and_decrypt() -> None:
    signed, sealed = signer(SITE, "a purpose").dumps(1), seal(SITE, "a purpose", "text")
    assert signer(WITH_FALLBACK_KEY, "a purpose").loads(signed, max_age=9) == 1
    assert unseal(WITH_FALLBACK_KEY, "a purpose", sealed) == "text"
    assert signer(WITH_NEW_KEY, "a purpose").loads(signer(WITH_FALLBACK_KEY, "a purpose").dumps(2), max_age=9) == 2
    assert unseal(WITH_NEW_KEY, "a purpose", seal(WITH_FALLBACK_KEY, "a purpose", "new")) == "new"


def test_trusted_browser_survives_key_rotation() -> None:
    user, response = User(email="ada@example.com", hashed_password=""), Response()
    cookies.trust_device(_build_request(SITE), response, user)
    name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
    cookie = {"cookie": f"{name}={value}"}
    assert cookies.trusted_device(_build_request(WITH_FALLBACK_KEY, cookie), user.email)
    assert not cookies.trusted_device(_build_request(WITH_FALLBACK_KEY, cookie), "bob@example.com")
    assert not cookies.trusted_device(_build_request(WITH_NEW_KEY, cookie), user.email)


def _build_request(settings: Settings, headers: Mapping[str, str] = MappingProxyType({})) -> Request:
    app = SimpleNamespace(state=SimpleNamespace(settings=settings))
    return Request({"type": "http", "app": app, "headers": Headers(headers).raw})


def test_signature_of_other_key_or_purpose_is_refused() -> None:
    signed, sealed = signer(SITE, "a purpose").dumps(1), seal(SITE, "a purpose", "text")
    for settings, purpose in ((WITH_NEW_KEY, "a purpose"), (SITE, "another")):
        assert signer(settings, purpose).loads_unsafe(signed)[0] is False
        assert unseal(settings, purpose, sealed) is None
        assert derived_key(settings, purpose) != derived_key(SITE, "a purpose")


def test_sealed_text_of_a_faster_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal(SITE, "a purpose", "text")
    monkeypatch.setattr("time.time", lambda: time() - 600)
    assert unseal(SITE, "a purpose", sealed, seconds=900) == "text"
    assert unseal(SITE, "a purpose", sealed, seconds=300) is None


def test_fields_of_another_version_are_refused() -> None:
    for text in ('{"old_number": "x"}', '["x"]', "no JSON"):
        assert unseal_as(SignInRequest, SITE, "a purpose", seal(SITE, "a purpose", text), 60) is None
