"""The language of the current request, job or e-mail."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import lru_cache

from opportune.config.languages import ENGLISH, PSEUDO_LANGUAGE, SOURCE_LANGUAGE, Language, find_language
from opportune.config.settings import Settings, get_settings
from opportune.context import use_value

MAX_HEADER_LENGTH = 500
"""Length of `Accept-Language` that is read. Browsers send about 50 characters."""

current_language: ContextVar[str] = ContextVar("current_language", default=SOURCE_LANGUAGE)
current_site_languages: ContextVar[Sequence[str]] = ContextVar("current_site_languages", default=())
"""Languages of the site of the request, the site's own first. Empty outside requests."""


def get_language() -> Language:
    """Return the language of the current request, job or e-mail."""
    return find_language(current_language.get()) or ENGLISH


def content_languages(settings: Settings | None = None) -> Sequence[str]:
    """Return the codes of the languages in which the site stores content, the site's own first."""
    if settings is None and (codes := current_site_languages.get()):
        return codes
    settings = settings or get_settings()
    offered = dict.fromkeys((settings.language, *settings.languages))
    return [code for code in offered if code != PSEUDO_LANGUAGE] or [SOURCE_LANGUAGE]


def use_language(code: str) -> AbstractContextManager[None]:
    """Translate and format for this language within the block, such as that of an e-mail's recipient.

    An empty code keeps the current language.
    """
    return use_value(current_language, code or current_language.get())


@lru_cache(1000)
def best_language(accept_language: str, languages: tuple[str, ...]) -> str:
    """Return the first language of an `Accept-Language` header that is available, or an empty string."""
    from langcodes import closest_supported_match
    from langcodes.tag_parser import LanguageTagError

    for tag in _preferred_tags(accept_language):
        try:
            match = closest_supported_match(tag, [*languages])
        except LanguageTagError:
            continue
        if match:
            return match
    return ""


def _preferred_tags(accept_language: str) -> list[str]:
    """Return the tags of a header, the preferred ones first."""
    weights: dict[str, float] = {}
    for entry in accept_language.split(","):
        tag, _, parameter = entry.strip().partition(";")
        try:
            weight = float(parameter.strip().lower().removeprefix("q=") or 1)
        except ValueError:
            continue
        if tag and tag != "*" and 0 < weight <= 1:
            weights.setdefault(tag, weight)
    return sorted(weights, key=lambda tag: -weights[tag])
