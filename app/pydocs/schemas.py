"""Search results and entries, for pages and the API."""

from typing import Literal, Self
from urllib.parse import quote

from markupsafe import Markup
from pydantic import computed_field

from opportune.contrib.documents import DocumentHit, DocumentRead
from opportune.web import Schema

Symbol = Literal["module", "class", "exception", "function", "method", "property", "attribute", "data"]
Kind = Literal[Symbol, "section", "term", "other", "keyword", "topic"]


class EntryLink(Schema):
    """Name and URL of an entry."""

    slug: str
    """Unique key, such as `os.path.join` or `library/os.path.html#module-contents`."""
    name: str
    """Full dotted name of a symbol (`os.path.join`), or title of a section."""
    kind: Kind
    title: str
    """First line of the text; may be empty."""

    @computed_field  # type: ignore[prop-decorator]  # as Pydantic's documentation says
    @property
    def url(self) -> str:
        return f"/pydocs/{quote(self.slug)}"


class SearchHit(EntryLink, DocumentHit):
    module: str
    """Module or page of the entry; empty for modules and pages."""


class EntryRead(EntryLink):
    """One page of the documentation."""

    module: str
    signature: str
    """Plain text such as `join(a, *p)`; empty if it cannot be called."""
    body_html: str
    """Sanitized HTML."""
    source: str
    """Path of the page in the indexed folder; may be empty."""
    parent: EntryLink | None
    children: list[EntryLink]

    @property
    def text(self) -> str:
        """Complete entry as plain text."""
        return f"{self.name} {self.signature}\n{Markup(self.body_html).striptags()}"  # noqa: S704 - sanitized before

    @classmethod
    def of(cls, read: DocumentRead) -> Self:
        return cls.model_validate({**read.document, **read._asdict(), "body_html": read.document["body"]})
