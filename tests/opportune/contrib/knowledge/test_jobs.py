"""Job that reads documents, and their passages."""

from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from opportune.contrib.knowledge import jobs
from opportune.contrib.knowledge.jobs import MAX_PASSAGE_LENGTH, split_text
from opportune.contrib.knowledge.web_page import WebPage
from opportune.storage import Storage, StorageError
from tests.opportune.contrib.extraction.files import make_pdf
from tests.opportune.contrib.knowledge.collections import Shelf, read_documents, read_passages


async def test_private_web_page_fails(shelf: Shelf) -> None:
    document = await shelf.add_page("http://127.0.0.1:1/secret")
    assert (document.state, document.fault) == (
        "failed",
        "http://127.0.0.1:1/secret leads into a private network, so it is not read. Upload the page as a file.",
    )


async def test_web_page_gets_its_title(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(*_arguments: Any) -> WebPage:
        return WebPage("guide.html", b"<title>Guide</title><p>A loan lasts four weeks.<script>steal()</script>")

    monkeypatch.setattr(jobs, "fetch_page", fetch)
    document = await shelf.add_page("https://example.com/guide")
    (passage,) = await read_passages(shelf.database)
    assert (document.title, passage.heading, passage.text) == ("Guide", "Guide", "A loan lasts four weeks.")


async def test_last_attempt_ends_the_document(app: FastAPI, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_storage: Storage, _name: str) -> bytes:
        raise StorageError

    await shelf.add()
    monkeypatch.setattr(type(app.state.storage), "read", fail)
    monkeypatch.setattr(jobs, "MAX_ATTEMPTS", 1)
    with pytest.raises(StorageError):
        await shelf.jobs.work()
    (document,) = await read_documents(shelf.database)
    assert document.fault == "guide.md could not be read at the moment. Try again later."


async def test_pages_above_the_limit_are_named(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LIMITS", jobs.LIMITS._replace(max_pages=2))
    await shelf.add_and_read("long.pdf", make_pdf("One", "Two", "Three"))
    assert "Only the first 2 of 3 pages were read." in await shelf.html()


SENTENCES = st.text(st.sampled_from("ab .!?\n"), max_size=4_000)


@given(SENTENCES)
def test_passages_are_the_text_in_order(text: str) -> None:
    passages = [*split_text(text)]
    assert text.startswith("".join(passages))
    assert not text.removeprefix("".join(passages)).strip()
    assert all(len(passage) <= MAX_PASSAGE_LENGTH for passage in passages)


def test_passage_ends_with_its_paragraph() -> None:
    paragraphs = [f"{'A sentence. ' * 40}\n\n", "The next one."]
    assert [*split_text("".join(paragraphs))] == paragraphs
