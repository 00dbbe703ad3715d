"""Model with prices."""

from decimal import Decimal

from opportune.contrib.llm import LlmModel

PRICED = LlmModel(
    name="Fast",
    model="fast",
    base_url="http://127.0.0.1:1/v1",
    calls_tools=True,
    max_answer_tokens=500,
    price_per_million_prompt_tokens=Decimal(1),
    price_per_million_answer_tokens=Decimal(4),
    price_per_million_cached_tokens=Decimal("0.1"),
)
