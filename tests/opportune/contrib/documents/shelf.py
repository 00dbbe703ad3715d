"""A document index for tests: names of Python code."""

from collections.abc import Iterable
from dataclasses import dataclass

from opportune.config.settings import Settings
from opportune.contrib.documents import Document, DocumentHit, DocumentIndex, DocumentSearch
from opportune.contrib.documents.build import Contents
from opportune.contrib.documents.databases import store_of
from opportune.db.url.database_url import DatabaseUrl
from opportune.testing.plugin import settings_for


@dataclass(slots=True)
class CodeDocument(Document):
    kind: str = "function"
    body: str = ""

    @property
    def is_dotted(self) -> bool:
        return self.kind != "section"

    @property
    def importance(self) -> tuple[bool, int, str]:
        return self.kind == "method", len(self.name), self.slug


class Hit(DocumentHit):
    kind: str


class Shelf(DocumentIndex[Hit]):
    def url(self, settings: Settings) -> DatabaseUrl:
        """A separate file, unlike the index of a site in memory."""
        return DatabaseUrl.parse(settings.database_url.get_secret_value())


shelf = Shelf("shelf", "the shelf", CodeDocument, Hit)


def code_document(name: str, kind: str = "function", text: str = "", parent: str = "") -> CodeDocument:
    return CodeDocument(name, name, kind, f"<p>{text}</p>", title=text, text=text, parent=parent)


def write_index(url: str, documents: Iterable[Document], source: str = "Shelf 1.0") -> None:
    store = store_of(shelf, DatabaseUrl.parse(url))
    store.prepare()
    store.write(Contents.from_documents(source, documents), lambda number: None)


def open_search(url: str) -> DocumentSearch[Hit]:
    return shelf.open(settings_for(url))
