"""Checks of the limits."""

from collections.abc import Iterator

from opportune.checks import Finding
from opportune.config.settings import Settings
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.limits import Limit
from opportune.contrib.llm import models_of


def check_spending(settings: Settings) -> Iterator[Finding]:
    """Warn about limits of cost that do not apply to models without a price."""
    names = [limit.setting.upper() for limit in Limit.all_of(settings.of(AnswersSettings)) if limit.unit == "cost"]
    free = [model.name for model in models_of(settings) if not model.has_price]
    if names and free:
        yield Finding(
            f"{names[0]} does not limit {', '.join(free)}, which has no price. Unless it is free, set "
            "price_per_million_prompt_tokens and price_per_million_answer_tokens in LLM_MODELS.",
            is_error=False,
        )
