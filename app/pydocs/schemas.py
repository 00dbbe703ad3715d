"""What a search finds, and what the pages and the API show."""

from typing import Literal, Self
from urllib.parse import quote

from markupsafe import Markup
from pydantic import computed_field

from opportune.search import DocumentHit, DocumentRead
from opportune.web import Schema

Symbol = Literal["module", "class", "exception", "function", "method", "property", "attribute", "data"]
Kind = Literal[Symbol, "section", "term", "other", "keyword", "topic"]


class EntryLink(Schema):
    """An entry's name and where its page is."""

    slug: str
    """Unique in the index: `os.path.join`, `library/os.path.html#module-contents`."""
    name: str
    """The whole dotted name of a symbol (`os.path.join`), or the title of a section."""
    kind: Kind
    title: str
    """The first line of the text, or nothing."""

    @computed_field  # type: ignore[prop-decorator]  # as Pydantic's documentation says
    @property
    def url(self) -> str:
        return f"/pydocs/{quote(self.slug)}"


class SearchHit(EntryLink, DocumentHit):
    module: str
    """The module or page that it belongs to; nothing where it is that itself."""


class EntryRead(EntryLink):
    """One page of the documentation."""

    module: str
    signature: str
    """As plain text: `join(a, *p)`; nothing where it cannot be called."""
    body_html: str
    """Cleaned HTML. Safe."""
    source: str
    """Where it was found: a page's path in the indexed folder, or nothing."""
    parent: EntryLink | None
    children: list[EntryLink]

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return f"{self.name} {self.signature}\n{Markup(self.body_html).striptags()}"  # noqa: S704 - cleaned before

    @classmethod
    def of(cls, found: DocumentRead) -> Self:
        return cls.model_validate({**found.document, **found._asdict(), "body_html": found.document["body"]})
