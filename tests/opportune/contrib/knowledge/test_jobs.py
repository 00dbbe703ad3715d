"""Jobs that read documents and web pages, which are fetched from public addresses only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any
from unittest.mock import AsyncMock

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from opportune.contrib.extraction.pages import Unreadable
from opportune.contrib.knowledge import jobs
from opportune.contrib.knowledge.splitting import MAX_PASSAGE_LENGTH, split_text
from opportune.contrib.knowledge.web_page import WebPage, fetch_page
from opportune.contrib.public_client import Address, is_public
from opportune.storage import StorageError
from tests.opportune.contrib.knowledge.shelves import Shelf, read_documents, read_passages
from tests.opportune.contrib.llm.providers.endpoint import response, serve_endpoint

PUBLIC_ADDRESSES = ("93.184.215.14", "2606:2800:220:1::1")
PRIVATE_ADDRESSES = (
    *("127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "168.63.129.16", "192.0.0.192", "192.88.99.1"),
    *("224.0.0.1", "::1", "fd00::1", "3fff::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"),
    "64:ff9b:1::7f00:1",
)
PAGE = b"<title>Guide</title><p>K\xe4se</p>"


async def test_private_web_page_fails(shelf: Shelf) -> None:
    document = await shelf.add_page("http://127.0.0.1:1/secret")
    assert document.state == "failed"
    assert document.fault.startswith("http://127.0.0.1:1/secret leads into a private network, so it is not read. ")


async def test_web_page_gets_its_title(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(*_arguments: Any) -> WebPage:
        return WebPage("guide.html", b"<title>Guide</title><p>A loan lasts four weeks.<script>steal()</script>")

    monkeypatch.setattr(jobs, "fetch_page", fetch)
    document = await shelf.add_page("https://example.com/guide")
    (passage,) = await read_passages(shelf.database)
    assert (document.title, passage.heading, passage.text) == ("Guide", "Guide", "A loan lasts four weeks.")


async def test_last_attempt_ends_the_document(app: FastAPI, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    await shelf.add()
    monkeypatch.setattr(type(app.state.storage), "read", AsyncMock(side_effect=StorageError))
    monkeypatch.setattr(shelf.jobs.context, "attempt", jobs.index_document.attempts)
    with pytest.raises(StorageError):
        await shelf.jobs.work()
    (document,) = await read_documents(shelf.database)
    assert document.fault == "guide.md could not be read at the moment. Try again later."


@given(st.text(st.sampled_from("ab .!?\n"), max_size=4_000))
def test_passages_are_the_text_in_order(text: str) -> None:
    passages = [*split_text(text)]
    assert text.startswith("".join(passages))
    assert not text.removeprefix("".join(passages)).strip()
    assert all(len(passage) <= MAX_PASSAGE_LENGTH for passage in passages)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES + PRIVATE_ADDRESSES)
def test_private_addresses_are_not_public(address: str) -> None:
    assert is_public(ip_address(address)) == (address in PUBLIC_ADDRESSES)


@asynccontextmanager
async def serving(*responses: bytes) -> AsyncIterator[str]:
    async with serve_endpoint() as endpoint:
        remaining = [response.replace(b"{port}", str(endpoint.port).encode()) for response in responses]
        endpoint.refuse = lambda _body: remaining.pop(0)
        yield f"http://127.0.0.1:{endpoint.port}/docs/guide"


def redirect(url: str) -> bytes:
    return response("302 Found", b"", f"Location: {url}")


def allow_this_server(address: Address) -> bool:
    return str(address) == "127.0.0.1"


async def test_page_is_fetched() -> None:
    for charset, content in (("latin-1", PAGE.decode("latin-1").encode()), ("punycode", PAGE), ("klingon", PAGE)):
        html = f"Content-Type: text/html; charset={charset}"
        async with serving(redirect("/other"), response("200 OK", PAGE, html)) as url:
            assert await fetch_page(url, 1_000, is_allowed=allow_this_server) == WebPage("other.html", content)


REFUSED_URLS = {
    "private": ("http://localhost/", "http://[::1]/", "http://2130706433/"),
    "url": ("http://user:password@example.com/", "file:///etc/passwd", "http://[::1", "http://"),
    "unreachable": ("http://no-such-host.invalid/",),
}


@pytest.mark.parametrize("problem", REFUSED_URLS)
async def test_url_is_refused(problem: str) -> None:
    for url in REFUSED_URLS[problem]:
        with pytest.raises(Unreadable, match=problem):
            await fetch_page(url, 1_000)


@pytest.mark.parametrize(
    ("responses", "problem"),
    [
        ([redirect("http://127.0.0.2:{port}/")], "private"),
        ([redirect("//[::1]:{port}/")], "private"),
        ([redirect("file:///etc/passwd")], "url"),
        ([redirect("//[")], "unreachable"),
        ([redirect("/again")] * 6, "unreachable"),
        ([response("404 Not Found")], "status"),
        ([response("200 OK", b"a" * 2_000)], "large"),
        ([response("200 OK", b"a", "Content-Encoding: gzip")], "unavailable"),
    ],
)
async def test_response_is_refused(responses: list[bytes], problem: str) -> None:
    async with serving(*responses) as url:
        with pytest.raises(Unreadable, match=problem):
            await fetch_page(url, 1_000, is_allowed=allow_this_server)
