"""Checks of the settings of answers."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from opportune.checks import Finding
from opportune.config.settings import Settings
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.limits import Limit
from opportune.contrib.llm import models_of
from opportune.db.url.providers import is_local


def check_web_search(settings: Settings) -> Iterator[Finding]:
    """Warn about an insecure or useless WEB_SEARCH_URL. A malformed one stops the site from starting."""
    url = settings.of(AnswersSettings).web_search_url.get_secret_value()
    if not url:
        return
    if url.startswith("http://") and not is_local(urlsplit(url).hostname or ""):
        yield Finding.warning("WEB_SEARCH_URL uses http://, so searches are not encrypted. Use https://.")
    if not any(model.calls_tools for model in models_of(settings)):
        yield Finding.warning(
            "WEB_SEARCH_URL has no effect, because no model calls tools. Set calls_tools for one in LLM_MODELS."
        )


def check_spending(settings: Settings) -> Iterator[Finding]:
    """Warn about limits of cost that do not apply to models without a price."""
    names = [limit.setting.upper() for limit in Limit.all_of(settings.of(AnswersSettings)) if limit.unit == "cost"]
    free = [model.name for model in models_of(settings) if not model.has_price]
    if names and free:
        yield Finding.warning(
            f"{names[0]} does not limit {', '.join(free)}, which has no price. Unless it is free, set "
            "price_per_million_prompt_tokens and price_per_million_answer_tokens in LLM_MODELS."
        )
