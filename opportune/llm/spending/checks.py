"""What `oppman.py check` says of limits."""

from collections.abc import Iterator

from opportune.checks import Finding
from opportune.config.settings import Settings
from opportune.llm import models_of
from opportune.llm.answers.settings import AnswersSettings
from opportune.llm.spending.limits import Limit


def check_spending(settings: Settings) -> Iterator[Finding]:
    """Limits of money count nothing of a model without a price."""
    names = [limit.setting.upper() for limit in Limit.all_of(settings.of(AnswersSettings)) if limit.unit == "cost"]
    free = [model.name for model in models_of(settings) if not model.has_price]
    if names and free:
        yield Finding(
            f"{names[0]} counts nothing of {', '.join(free)}: in LLM_MODELS give price_per_million_prompt_tokens and "
            "price_per_million_answer_tokens, unless it is free.",
            is_error=False,
        )
