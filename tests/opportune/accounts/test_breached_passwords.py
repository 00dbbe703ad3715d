"""The breach lookup, against a local service."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from opportune.accounts.passwords import breaches
from opportune.accounts.passwords.breaches import is_breached
from opportune.accounts.passwords.rules import BREACHED, find_password_problem
from opportune.config.settings import Settings
from opportune.testing.plugin import settings_for

PASSWORD = "rX7#pQ2zuW5"
EMAIL = "ada@example.com"
DIGEST = hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).hexdigest().upper()


@dataclass
class BreachService:
    """A fake of api.pwnedpasswords.com."""

    body: str = f"{'0' * 35}:7\r\n{DIGEST[5:]}:3\r\n{'F' * 35}:0"
    status: int = 200
    request_headers: list[str] = field(default_factory=list)
    port: int = 0
    never_responds: bool = False
    endless_part: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/range/"

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request_headers.append((await reader.readuntil(b"\r\n\r\n")).decode())
        header = f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(self.body)}\r\nconnection: close\r\n\r\n"
        if self.never_responds:
            await reader.read()  # until the client closes the connection
        elif self.endless_part:
            await self._send_endlessly(writer)
        else:
            writer.write((header + self.body).encode())
            await writer.drain()
        writer.close()

    async def _send_endlessly(self, writer: asyncio.StreamWriter) -> None:
        """Send parts until the client closes the connection, or a second has passed."""
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        with suppress(ConnectionError):
            for _ in range(100):
                writer.write(self.endless_part.encode())
                await writer.drain()
                await asyncio.sleep(0.01)


@pytest.fixture
async def service() -> AsyncIterator[BreachService]:
    service = BreachService()
    async with await asyncio.start_server(service.respond, "127.0.0.1", 0) as server:
        service.port = server.sockets[0].getsockname()[1]
        yield service


def with_lookup(url: str) -> Settings:
    return settings_for("sqlite://").model_copy(update={"breached_passwords_url": url})


async def test_breached_password_is_found_by_start_of_its_hash(service: BreachService) -> None:
    assert await find_password_problem(PASSWORD, EMAIL, with_lookup(service.url)) == BREACHED
    (header,) = service.request_headers
    assert header.startswith(f"GET /range/{DIGEST[:5]} HTTP")
    assert "add-padding: true" in header.lower()
    assert DIGEST[5:10] not in header
    assert PASSWORD not in header


@pytest.mark.parametrize("body", ["", f"{'0' * 35}:7", f"{DIGEST[5:]}:0"])
async def test_password_without_a_breach_is_accepted(service: BreachService, body: str) -> None:
    service.body = body
    assert await find_password_problem(PASSWORD, EMAIL, with_lookup(service.url)) is None
    assert len(service.request_headers) == 1


async def test_weak_passwords_are_not_looked_up(service: BreachService) -> None:
    assert settings_for("sqlite://").breached_passwords_url == ""
    assert await find_password_problem(PASSWORD, EMAIL, with_lookup("")) is None
    assert await find_password_problem("password1", EMAIL, with_lookup(service.url))
    assert service.request_headers == []


async def test_failing_service_is_logged_and_accepts(service: BreachService, caplog: pytest.LogCaptureFixture) -> None:
    service.status = 503
    with caplog.at_level(logging.WARNING):
        assert not await is_breached(service.url, PASSWORD)
    assert "127.0.0.1: status 503" in caplog.text
    assert DIGEST[:5] not in caplog.text


@pytest.mark.parametrize(
    "behaviour", [{"never_responds": True}, {"endless_part": f"{'0' * 35}:7\r\n"}, {"endless_part": "0"}], ids=str
)
async def test_slow_service_is_given_up(
    service: BreachService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, behaviour: dict[str, Any]
) -> None:
    monkeypatch.setattr(breaches, "LOOKUP_SECONDS", 0.1)
    vars(service).update(behaviour)
    assert not await asyncio.wait_for(is_breached(service.url, PASSWORD), 30)
    assert "Breached passwords could not be looked up" in caplog.text
