"""The service that computes vectors of texts."""

import logging
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from opportune.config.llm_models import EmbeddingModel
from opportune.errors import ServiceError

if TYPE_CHECKING:
    Vector = array[float]
else:
    Vector = array  # not generic at run time before Python 3.12

EMBEDDINGS = "embeddings"
"""Key of `Database.info` with the site's `Embeddings`."""
EMBED_LATER = "embed_later"
"""Key of `Database.info` with a function that queues the job of a table."""
BATCH_TEXTS = 64
"""Texts per request."""
SAMPLE_TEXT = "A text."  # not translated
"""A text that every working endpoint accepts."""

logger = logging.getLogger(__name__)


class Embeddings(Protocol):
    """Turns texts into vectors of length 1. The feature `llm_embeddings` implements it with EMBEDDING_MODEL."""

    model: EmbeddingModel

    async def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors of texts to index, in order."""

    async def embed_query(self, text: str, made_of: str = "") -> Vector | None:
        """Return the vector of a search text; None if it takes too long or fails.

        Args:
            made_of: `EmbeddingModel.made_of` of the stored vectors to compare with. Empty for the current model.
        """


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
