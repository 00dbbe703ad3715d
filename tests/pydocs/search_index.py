"""Small search indexes, with entries that a test chooses."""

from collections.abc import Iterable

from markupsafe import escape
from pydantic import SecretStr

from app.pydocs.documents import Entry, python_docs
from app.pydocs.schemas import Kind, SearchHit
from app.pydocs.settings import PydocsSettings
from opportune.contrib.documents import DocumentSearch
from opportune.contrib.documents.build import Contents
from opportune.contrib.documents.databases import store_of
from opportune.db import DatabaseUrl
from opportune.testing.plugin import settings_for


def make_piece(name: str, kind: Kind = "function", text: str = "", **more: str) -> Entry:
    return Entry(name, name, kind, body=f"<p>{escape(text)}</p>", title=text, text=text, **more)


SMALL_INDEX = (
    make_piece("os", "module", "Miscellaneous operating system interfaces"),
    make_piece("os.path", "module", "Common pathname manipulations", parent="os"),
    make_piece(
        "os.path.join", text="Join one or more path segments & more", signature="join(path, *paths)", parent="os.path"
    ),
    make_piece("os.pathconf", text="Return <system> configuration information", parent="os"),
    make_piece("json", "module", "JSON encoder and decoder"),
)


def index_settings(url: str) -> PydocsSettings:
    return PydocsSettings(pydocs_database_url=SecretStr(url))


def fill_index(url: str, pieces: Iterable[Entry], source: str = "Shelf 1.0") -> None:
    store = store_of(python_docs, DatabaseUrl.parse(url))
    store.prepare()
    store.write(Contents.from_documents(source, pieces), lambda number: None)


def open_search(url: str) -> DocumentSearch[SearchHit]:
    return python_docs.open(settings_for("sqlite:///unused.db", index_settings(url)))
