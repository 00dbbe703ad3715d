"""Index of Python's documentation."""

from dataclasses import dataclass
from typing import Annotated, Any, get_args

from fastapi import Depends

from app.pydocs.schemas import Kind, SearchHit
from app.pydocs.settings import PydocsSettings
from opportune.search import MAX_TEXT_LENGTH, Document, DocumentIndex, DocumentSearch

# Ranks of entry types; smaller values come first.
RANKS = dict(zip(get_args(Kind), (0, 1, 2, 1, 3, 4, 4, 4, 5, 2, 5, 0, 1), strict=True))


@dataclass(slots=True)
class Piece(Document):
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


python_docs = DocumentIndex("pydocs", "the documentation", Piece, SearchHit, PydocsSettings, by_meaning=True)

Index = Annotated[DocumentSearch[SearchHit], Depends(python_docs.search)]
