"""Tables of the knowledge base: collections, their documents, and the passages of these."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from opportune.accounts.models import OwnerId
from opportune.contrib.extraction.reader import describe_problem
from opportune.contrib.knowledge.web_page import PAGE_PROBLEMS
from opportune.contrib.teams.models import TeamShared
from opportune.db.clock import utc_now
from opportune.db.models.model import Model
from opportune.fields.files import File, file_field
from opportune.i18n import gettext as _
from opportune.i18n import pgettext_lazy
from opportune.schemas.text import Line, Text
from opportune.search.searchable import Searchable

MAX_TITLE_LENGTH = 200
NEW_IDS = {"sqlite_autoincrement": True}
"""SQLite never uses the id of a deleted row again, because citations and assistants contain it."""


class KnowledgeCollection(Model, TeamShared, table=True):
    """A collection of documents. It belongs to a user, a team, or the site."""

    __tablename__ = "knowledge_collection"
    __table_args__ = NEW_IDS

    name: Line = Field(min_length=1, max_length=100)
    description: Text = Field(default="", max_length=1_000)
    is_site: bool = Field(default=False, title="For everyone", description="Every signed-in user can search it.")
    owner_id: OwnerId | None = None
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.name


class DocumentState(StrEnum):
    WAITING = "waiting"
    READING = "reading"
    READY = "ready"
    FAILED = "failed"

    @property
    def label(self) -> str:
        return str(STATE_LABELS[self])

    @property
    def is_final(self) -> bool:
        return self in (DocumentState.READY, DocumentState.FAILED)


STATE_LABELS = {
    DocumentState.WAITING: pgettext_lazy("document", "Waiting"),
    DocumentState.READING: pgettext_lazy("document", "Reading"),
    DocumentState.READY: pgettext_lazy("document", "Ready"),
    DocumentState.FAILED: pgettext_lazy("document", "Failed"),
}


class KnowledgeDocument(Model, table=True):
    """An uploaded file or a web page.

    Attributes:
        url: URL of a web page; empty for a file.
        problem: Code of the problem of a failed document.
        page_count: Number of pages of the file, if it is known.
        is_cut: Whether the document is longer than the limit.
    """

    __tablename__ = "knowledge_document"
    __table_args__ = NEW_IDS

    collection_id: int = Field(foreign_key="knowledge_collection.id", ondelete="CASCADE", index=True)
    title: str = Field(max_length=MAX_TITLE_LENGTH)
    url: str = Field(default="", max_length=2_000)
    file: File = file_field("knowledge", default="")
    state: DocumentState = DocumentState.WAITING
    problem: str = Field(default="", max_length=20)
    pages_read: int = 0
    page_count: int = 0
    is_cut: bool = False
    passage_count: int = 0
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.title

    @property
    def link(self) -> str:
        """URL of a web page for links; empty for a file."""
        return self.url if self.url.startswith(("http://", "https://")) else ""

    @property
    def fault(self) -> str:
        """Sentence about a failed document; empty otherwise."""
        if self.problem in PAGE_PROBLEMS:
            return _(PAGE_PROBLEMS[self.problem], name=self.title)
        return describe_problem(self.problem, self.title) if self.problem else ""


class KnowledgePassage(Model, table=True):
    """A passage of a document. The passages of a page contain its whole text.

    Attributes:
        number: Position in the document, from 1.
        page: Number of the page or slide; 0 if the document has none.
        heading: Title of the document and heading of the section, which are also searched.
    """

    __tablename__ = "knowledge_passage"
    __table_args__ = (UniqueConstraint("document_id", "number"),)

    document_id: int = Field(foreign_key="knowledge_document.id", ondelete="CASCADE")
    number: int
    page: int = 0
    heading: Text = ""
    text: Text = ""

    @property
    def place(self) -> str:
        """Title with the page, for citations."""
        return _("%(title)s, page %(page)s", title=self.heading, page=self.page) if self.page else self.heading

    @property
    def url(self) -> str:
        return f"/knowledge/documents/{self.document_id}?passage={self.number}#passage"


passage_search = Searchable(KnowledgePassage, fields=["text", "heading"], by_meaning=True)
