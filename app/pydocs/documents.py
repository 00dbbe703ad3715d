"""Index of Python's documentation."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends

from app.pydocs.schemas import Kind, SearchHit
from app.pydocs.settings import PydocsSettings
from opportune.contrib.documents import MAX_TEXT_LENGTH, Document, DocumentIndex, DocumentSearch
from opportune.i18n import gettext_lazy as _l

# Ranks of entry types; smaller values come first.
RANKS: dict[Kind, int] = {
    "module": 0,
    "keyword": 0,
    "class": 1,
    "function": 1,
    "topic": 1,
    "exception": 2,
    "term": 2,
    "method": 3,
    "property": 4,
    "attribute": 4,
    "data": 4,
    "section": 5,
    "other": 5,
}


@dataclass(slots=True)
class Entry(Document):
    """Entry of the index: a symbol with its full dotted name, or a section of a page."""

    kind: Kind
    module: str = ""
    signature: str = ""
    body: str = ""
    """Sanitized HTML."""
    source: str = ""

    def __post_init__(self) -> None:
        self.text = " ".join(self.text.split())[:MAX_TEXT_LENGTH]

    @property
    def is_dotted(self) -> bool:
        return self.kind not in ("section", "term", "other", "topic")

    @property
    def importance(self) -> tuple[Any, ...]:
        is_private = self.name.startswith("_") or "._" in self.name
        return is_private, RANKS[self.kind], self.name.count("."), len(self.name), self.name, self.slug


EntriesOrFault = list[Entry] | str
"""Entries of a page or module, or the reason why it cannot be read."""

python_docs = DocumentIndex("pydocs", _l("the documentation"), Entry, SearchHit, PydocsSettings, by_meaning=True)

Index = Annotated[DocumentSearch[SearchHit], Depends(python_docs.search)]
