"""Vectors of batches of texts, of which the endpoint may reject some."""

import logging
from collections.abc import Sequence

from opportune.errors import ServiceError
from opportune.search.embeddings import Embeddings, Vector

SAMPLE_TEXT = "A text."  # not translated
"""A text that every working endpoint accepts."""

logger = logging.getLogger(__name__)


async def embed_accepted(embeddings: Embeddings, texts: Sequence[str]) -> list[Vector | None]:
    """Return the vectors of the texts in order; None for a text that the endpoint rejects."""
    try:
        return [*await embeddings.embed_texts(texts)]
    except ServiceError as error:
        if error.code != "rejected":
            raise
    await embeddings.embed_texts([SAMPLE_TEXT])  # raises if the endpoint rejects every text
    return await _embed_halves(embeddings, texts)


async def _embed_halves(embeddings: Embeddings, texts: Sequence[str]) -> list[Vector | None]:
    """Divide a batch that was rejected until the rejected texts are found."""
    if len(texts) == 1:
        logger.warning("EMBEDDING_MODEL rejects a text of %d characters. It is searched by words only.", len(texts[0]))
        return [None]
    middle = len(texts) // 2
    vectors: list[Vector | None] = []
    for half in (texts[:middle], texts[middle:]):
        try:
            vectors += await embeddings.embed_texts(half)
        except ServiceError as error:
            if error.code != "rejected":
                raise
            vectors += await _embed_halves(embeddings, half)
    return vectors
