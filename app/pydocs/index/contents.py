"""What the tables of an index hold, on each database: entries in their order of importance, keys and terms."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from app.pydocs.index.piece import Piece
from app.pydocs.spelling import SHORTEST, Term
from app.pydocs.words import keys, name_words, words
from opportune.db.model import utc_now

LONGEST_KEY = 200
RARE = 3
"""Words of texts that occur less often may be misspelt themselves."""
COLUMNS = ("slug", "name", "kind", "module", "title", "text", "parent", "source", "signature", "body")


@dataclass(frozen=True)
class Numbered:
    """A piece under its number: the smaller, the more important."""

    number: int
    piece: Piece

    @property
    def row(self) -> tuple[str | int, ...]:
        return self.number, *(getattr(self.piece, column) for column in COLUMNS)

    @property
    def keys(self) -> Iterator[tuple[str, int, int]]:
        for key, depth in keys(self.piece.name, dotted=self.piece.is_symbol):
            if len(key) <= LONGEST_KEY:
                yield key, depth, self.number

    @property
    def document(self) -> tuple[list[str], list[str], list[str]]:
        """The words of name, title and text."""
        return name_words(self.piece.name), words(self.piece.title), words(self.piece.text)


@dataclass(frozen=True)
class Contents:
    source: str
    entries: list[Numbered]
    skipped: int
    built_at: datetime

    @classmethod
    def of(cls, source: str, pieces: Iterable[Piece], skipped: int) -> "Contents":
        """What two pages call by the same name is kept once."""
        ordered = {piece.slug: piece for piece in sorted(pieces, key=lambda piece: piece.importance, reverse=True)}
        kept = [Numbered(number, piece) for number, piece in enumerate(reversed(ordered.values()), 1)]
        return cls(source, kept, skipped, utc_now())


class Vocabulary:
    """Counts the words of documents that somebody may misspell."""

    def __init__(self) -> None:
        self._names: Counter[str] = Counter()
        self._all: Counter[str] = Counter()

    def add(self, document: tuple[list[str], list[str], list[str]]) -> None:
        self._names.update(document[0])
        for column in document:
            self._all.update(column)

    @property
    def terms(self) -> Iterator[Term]:
        for word, frequency in self._all.items():
            is_name = word in self._names
            if (is_name or frequency >= RARE) and SHORTEST <= len(word) <= 40 and not word.isdigit():
                yield Term(word, is_name, frequency)
