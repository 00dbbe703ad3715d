"""Checks of the web search."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from opportune.checks import Finding
from opportune.config.settings import Settings
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.llm import models_of
from opportune.db.url.providers import is_local


def check_web_search(settings: Settings) -> Iterator[Finding]:
    """Warn about an insecure or useless WEB_SEARCH_URL. A malformed one stops the site from starting."""
    url = settings.of(AnswersSettings).web_search_url.get_secret_value()
    if not url:
        return
    if url.startswith("http://") and not is_local(urlsplit(url).hostname or ""):
        yield Finding("WEB_SEARCH_URL uses http://, so searches are not encrypted. Use https://.", is_error=False)
    if not any(model.calls_tools for model in models_of(settings)):
        yield Finding(
            "WEB_SEARCH_URL has no effect, because no model calls tools. Set calls_tools for one in LLM_MODELS.",
            is_error=False,
        )
