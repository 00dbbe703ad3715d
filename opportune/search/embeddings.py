"""The service that computes vectors of texts."""

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from opportune.config.llm_models import EmbeddingModel

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
