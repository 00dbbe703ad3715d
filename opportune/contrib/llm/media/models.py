"""Settings of models for pictures, speech, transcription and reranking."""

from decimal import Decimal
from math import ceil
from typing import Literal, Self

from pydantic import Field

from opportune.config.llm_models import MICRO_PER_UNIT, LlmModel

MediaTask = Literal["image", "speech", "transcription", "rerank"]


class MediaModel(LlmModel):
    """A model for one of the tasks, at an endpoint with OpenAI's API."""

    price: Decimal = Field(default=Decimal(0), ge=0)
    """Price of a picture, a minute of audio to transcribe, 1,000 characters to speak, or a call of a reranker."""
    max_chars: int = Field(default=4_096, ge=1)
    """Maximum characters of the description of a picture, or of a text to speak."""

    def for_units(self, units: float) -> Self:
        """Return a copy whose `price` is that of a call of so many pictures, minutes or thousands of characters."""
        return self.model_copy(update={"price": self.price * Decimal(units)})

    def cost_micro(self, prompt_tokens: int, answer_tokens: int, cached_tokens: int = 0) -> int:
        """Return the cost of a call. `price` is added to that of the tokens."""
        return ceil(self.price * MICRO_PER_UNIT) + super().cost_micro(prompt_tokens, answer_tokens, cached_tokens)

    @property
    def has_price(self) -> bool:
        return bool(self.price) or super().has_price
