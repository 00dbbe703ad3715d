"""Indexes for tests."""

from collections.abc import Iterable

from pydantic import SecretStr

from app.pydocs.documents import Piece, python_docs
from app.pydocs.schemas import Kind, SearchHit
from app.pydocs.settings import PydocsSettings
from opportune.config.settings import Settings
from opportune.db import DatabaseURL
from opportune.search import DocumentSearch
from opportune.search.documents.contents import Contents
from opportune.testing.plugin import settings_for


def piece(name: str, kind: Kind = "function", text: str = "", **more: str) -> Piece:
    return Piece(name, name, kind, body=f"<p>{text}</p>", title=text, text=text, **more)


def index_at(url: str) -> PydocsSettings:
    return PydocsSettings(pydocs_database_url=SecretStr(url))


def settings_of(url: str) -> Settings:
    """The database of the site is elsewhere."""
    return settings_for("sqlite:///unused.db", index_at(url))


def fill(url: str, pieces: Iterable[Piece], source: str = "Shelf 1.0") -> None:
    store = python_docs.store(DatabaseURL.parse(url))
    store.prepare()
    store.write(Contents.from_documents(source, pieces, 0), lambda number: None)


def search_in(url: str) -> DocumentSearch[SearchHit]:
    return python_docs.open(settings_of(url))
