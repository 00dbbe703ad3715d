"""Division of texts into passages, which are searched and cited."""

import re
from collections.abc import Iterator

MAX_PASSAGE_LENGTH = 1_000
MIN_PASSAGE_LENGTH = 400
"""From this length on, a passage ends with its paragraph."""
PIECE = re.compile(r"[^\n.!?]*(?:\n+|[.!?]+\s+|[.!?]+|$)")
"""A sentence or line with its end."""


def split_text(text: str) -> Iterator[str]:
    """Yield passages that together are the text. They end with paragraphs or sentences if possible."""
    passage = ""
    for piece in _pieces(text):
        if passage and len(passage) + len(piece) > MAX_PASSAGE_LENGTH:
            yield passage
            passage = ""
        passage += piece
        if len(passage) >= MIN_PASSAGE_LENGTH and passage.endswith("\n\n"):
            yield passage
            passage = ""
    if passage.strip():
        yield passage


def _pieces(text: str) -> Iterator[str]:
    for match in PIECE.finditer(text):
        piece = match[0]
        while len(piece) > MAX_PASSAGE_LENGTH:
            end = piece.rfind(" ", 1, MAX_PASSAGE_LENGTH) + 1 or MAX_PASSAGE_LENGTH
            yield piece[:end]
            piece = piece[end:]
        yield piece
