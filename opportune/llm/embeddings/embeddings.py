"""The site's model for embeddings: texts become vectors, of which near ones mean the like."""

import asyncio
import logging
from array import array
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from math import hypot, isfinite
from time import monotonic
from typing import Self

from opportune.config.llm_models import EmbeddingModel
from opportune.config.settings import Settings
from opportune.llm.completion.checked import plausible_usage
from opportune.llm.embeddings.embedder import Embedded, Embedder
from opportune.llm.providers.factory import embedding_model_of, make_embedder
from opportune.llm.providers.provider import Chunk, Done, LLMError, Message, estimate_tokens
from opportune.llm.spending.call_guard import SITE, CallGuard, GuardedCall
from opportune.runtime.tasks import cancel_and_wait
from opportune.search.embeddings import Vector

QUESTION_TIMEOUT_SECONDS = 1.5
"""Seconds that a search waits for the embedding of its question, before it does without."""
AWAY_SECONDS = 30.0
"""Seconds for which an endpoint that failed is left alone by searches."""
MAX_KEPT_QUESTIONS = 1_000
"""Questions whose embeddings a process keeps."""
MIN_QUESTION_CHARS = 3

logger = logging.getLogger(__name__)


class Embeddings:
    """Asks for embeddings, counted as every call of a model is. All that search in one process share it."""

    def __init__(
        self, model: EmbeddingModel, make: Callable[[EmbeddingModel], Embedder], guard: CallGuard | None = None
    ) -> None:
        self.model = model
        self.guard = guard
        self._make = make
        self._embedders: dict[str, Embedder] = {}
        self._kept: OrderedDict[tuple[str, str], Vector] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[Vector | None]] = {}
        self._away_until: dict[str, float] = {}

    @classmethod
    def of(cls, settings: Settings, guard: CallGuard | None = None) -> Self | None:
        """Of EMBEDDING_MODEL; None where it is empty."""
        model = embedding_model_of(settings)
        return cls(model, lambda each: make_embedder(settings, each), guard) if model else None

    async def of_texts(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of what is searched: as many as a batch has.

        Raises:
            LLMError: the endpoint does not give them; or they would be more than what may be spent.
        """
        return await self._ask(self.model, [self.model.document_prefix + self.model.cut(text) for text in texts])

    async def of_question(self, text: str, made_of: str = "") -> Vector | None:
        """The vector of a question, asked for once; None where it does not come in time, or never.

        `made_of` tells of which model the vectors are that it is compared with: this one's, if it is empty.
        """
        model = self.model.as_made_of(made_of or self.model.made_of)
        key = (model.made_of, " ".join(text.split()))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        is_away = monotonic() < self._away_until.get(model.made_of, 0)
        if len(key[1]) < MIN_QUESTION_CHARS or (is_away and key not in self._asking):
            return None
        if key not in self._asking:
            self._asking[key] = asyncio.create_task(self._of_question(model, key), name="embed a question")
        try:
            async with asyncio.timeout(QUESTION_TIMEOUT_SECONDS):
                return await asyncio.shield(self._asking[key])
        except TimeoutError:
            self._note_away(model, f"no answer in {QUESTION_TIMEOUT_SECONDS} s")
            return None

    async def _of_question(self, model: EmbeddingModel, key: tuple[str, str]) -> Vector | None:
        """What comes too late for who asked is kept for the next."""
        try:
            (vector,) = await self._ask(model, [model.query_prefix + model.cut(key[1])])
        except Exception as error:  # noqa: BLE001 - a search does without, also where it is a project's own fault
            self._note_away(model, error.with_advice if isinstance(error, LLMError) else repr(error))
            return None
        finally:
            del self._asking[key]
        if self._away_until.pop(model.made_of, 0):
            logger.warning("EMBEDDING_MODEL answers again.")
        self._kept[key] = vector
        if len(self._kept) > MAX_KEPT_QUESTIONS:
            self._kept.popitem(last=False)
        return vector

    def _note_away(self, model: EmbeddingModel, why: str) -> None:
        if model.made_of not in self._away_until:
            logger.warning("EMBEDDING_MODEL is away, so the search is by words alone: %s", why)
        self._away_until[model.made_of] = monotonic() + AWAY_SECONDS

    async def _ask(self, model: EmbeddingModel, texts: Sequence[str]) -> list[Vector]:
        embedded: list[Embedded] = []

        async def answer() -> AsyncGenerator[Chunk, None]:
            embedded.append(await self._embedder(model).embed(texts))
            done = Done(embedded[0].prompt_tokens, 0, model=model.name)
            yield plausible_usage(model.name, model, sum(map(estimate_tokens, texts)), 0, done)

        call = GuardedCall(model.name, model, [Message("user", text) for text in texts], (), SITE, answer())
        async with aclosing(self.guard.watch(call) if self.guard else call.chunks) as chunks:
            async for _ in chunks:
                """It has come."""
        return _checked(embedded[0].vectors, len(texts))

    def _embedder(self, model: EmbeddingModel) -> Embedder:
        if model.made_of not in self._embedders:
            self._embedders[model.made_of] = self._make(model)
        return self._embedders[model.made_of]

    async def close(self) -> None:
        """End what is being asked, and close connections."""
        await cancel_and_wait(*self._asking.values())
        for embedder in self._embedders.values():
            await embedder.close()


def _checked(vectors: Sequence[Sequence[float]], expected: int) -> list[Vector]:
    """Vectors of length 1. Raises LLMError where they are not what was asked for."""
    lengths = [hypot(*vector) for vector in vectors]
    is_sound = all(isfinite(length) and length for length in lengths) and len({len(each) for each in vectors}) == 1
    if len(vectors) != expected or not is_sound:
        raise LLMError("malformed", "EMBEDDING_MODEL: the endpoint sent something that is no embedding.")
    return [array("f", [number / length for number in each]) for each, length in zip(vectors, lengths, strict=True)]
