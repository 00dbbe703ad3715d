"""Web pages, fetched from public addresses only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest

from opportune.contrib.extraction.pages import Unreadable
from opportune.contrib.knowledge.web_page import Address, WebPage, fetch_page, is_public

PAGE = b"<title>Guide</title><p>K\xe4se</p>"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.215.14", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::1", False),
    ],
)
def test_private_addresses_are_not_public(address: str, expected: bool) -> None:
    assert is_public(ip_address(address)) == expected


@asynccontextmanager
async def serving(*responses: bytes) -> AsyncIterator[str]:
    """Yield the URL of a server on this machine that sends each response once."""
    remaining, port = list(responses), [0]

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(remaining.pop(0).replace(b"{port}", str(port[0]).encode()))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        port[0] = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port[0]}/docs/guide"


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers])
    return f"{head}\r\n\r\n".encode() + body


def redirect(url: str) -> bytes:
    return response(b"", f"Location: {url}", status="302 Found")


def allow_this_server(address: Address) -> bool:
    return str(address) == "127.0.0.1"


async def test_page_is_fetched() -> None:
    html = "Content-Type: text/html; charset=latin-1"
    async with serving(redirect("/other"), response(PAGE, html)) as url:
        page = await fetch_page(url, 1_000, allow_this_server)
    assert page == WebPage("other.html", PAGE.decode("latin-1").encode())


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:1/", "private"),
        ("http://localhost/", "private"),
        ("http://[::1]/", "private"),
        ("http://2130706433/", "private"),
        ("http://169.254.169.254/latest/meta-data/", "private"),
        ("http://user:password@example.com/", "url"),
        ("file:///etc/passwd", "url"),
        ("gopher://example.com/", "url"),
        ("http://", "url"),
        ("http://[::1", "url"),
        ("http://no-such-host.invalid/", "unreachable"),
    ],
)
async def test_url_is_refused(url: str, problem: str) -> None:
    with pytest.raises(Unreadable, match=problem):
        await fetch_page(url, 1_000)


@pytest.mark.parametrize(
    ("responses", "problem"),
    [
        ([redirect("http://127.0.0.2:{port}/")], "private"),
        ([redirect("//[::1]:{port}/")], "private"),
        ([redirect("file:///etc/passwd")], "url"),
        ([redirect("/again")] * 6, "unreachable"),
        ([response(b"", status="404 Not Found")], "status"),
        ([response(b"", status="503 Service Unavailable")], "unavailable"),
        ([response(b"a" * 2_000)], "large"),
        ([response(b"a", "Content-Encoding: gzip")], "unavailable"),
        ([b"no HTTP\r\n\r\n"], "unreachable"),
    ],
)
async def test_response_is_refused(responses: list[bytes], problem: str) -> None:
    async with serving(*responses) as url:
        with pytest.raises(Unreadable, match=problem):
            await fetch_page(url, 1_000, allow_this_server)
