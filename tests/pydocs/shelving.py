"""Indexes for tests: what goes into them, and where they are."""

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

from pydantic import SecretStr

from app.pydocs.engines.opening import open_engine
from app.pydocs.index.contents import Contents
from app.pydocs.index.piece import Piece
from app.pydocs.index.store import store_of
from app.pydocs.schemas import Kind
from app.pydocs.service import Search
from opportune.db.url.database_url import DatabaseURL
from opportune.settings import Settings
from opportune.testing.plugin import settings_for


class Quiet:
    def update(self, n_steps: int) -> None: ...


def unseen(words: str, steps: int) -> Any:
    """Progress that nobody looks at."""
    del words, steps
    return nullcontext(Quiet())


def piece(name: str, kind: Kind = "function", text: str = "", **more: str) -> Piece:
    body = f"<p>{text}</p>"
    return Piece(slug=name, name=name, kind=kind, title=text, text=text, body=body, **more)


def settings_of(url: str) -> Settings:
    """The site's own database is elsewhere."""
    return settings_for("sqlite:///unused.db").model_copy(update={"pydocs_database_url": SecretStr(url)})


def fill(url: str, pieces: Iterable[Piece], source: str = "Shelf 1.0") -> None:
    store = store_of(DatabaseURL.parse(url))
    store.prepare()
    store.write(Contents.of(source, pieces, 0), lambda number: None)


def search_in(url: str) -> Search:
    return Search(open_engine(settings_of(url)))
