"""Interface of the service that computes embeddings for the search."""

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from opportune.config.llm_models import EmbeddingModel

if TYPE_CHECKING:
    Vector = array[float]
else:
    Vector = array  # not generic at run time before Python 3.12


class Embeddings(Protocol):
    """Turns texts into vectors of length 1. `opportune.llm` implements it with EMBEDDING_MODEL."""

    model: EmbeddingModel

    async def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors of texts to index, in order.

        Raises:
            ServiceError: The model returned no vectors.
        """

    async def embed_query(self, text: str, made_of: str = "") -> Vector | None:
        """Return the vector of a search text; None if it takes too long or fails.

        Args:
            text: The text of the search.
            made_of: `EmbeddingModel.made_of` of the stored vectors to compare with. Empty for the current model.
        """
