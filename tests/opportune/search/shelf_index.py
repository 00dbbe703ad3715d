"""A document index for tests."""

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from opportune.config.settings import Settings
from opportune.db.url.database_url import DatabaseURL
from opportune.search import Document, DocumentHit, DocumentIndex, DocumentSearch
from opportune.search.documents.contents import Contents
from opportune.testing.plugin import settings_for


@dataclass(slots=True)
class Piece(Document):
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
    def url(self, settings: Settings) -> DatabaseURL:
        """A separate file, unlike the index of a site in memory."""
        return DatabaseURL.parse(settings.database_url.get_secret_value())


shelf = Shelf("shelf", "the shelf", Piece, Hit)


class Quiet:
    def advance(self, n_steps: int) -> None: ...


def unseen(words: str, steps: int) -> Any:
    """Progress that is not displayed."""
    del words, steps
    return nullcontext(Quiet())


def piece(name: str, kind: str = "function", text: str = "", parent: str = "") -> Piece:
    return Piece(name, name, kind, f"<p>{text}</p>", title=text, text=text, parent=parent)


def fill(url: str, pieces: Iterable[Document], source: str = "Shelf 1.0") -> None:
    store = shelf.store(DatabaseURL.parse(url))
    store.prepare()
    store.write(Contents.from_documents(source, pieces, 0), lambda number: None)


def search_in(url: str) -> DocumentSearch[Hit]:
    return shelf.open(settings_for(url))
