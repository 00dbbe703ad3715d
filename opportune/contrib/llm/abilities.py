"""Abilities and prices of language models, for users."""

from opportune.config.llm_models import LlmModel
from opportune.i18n import gettext, ngettext
from opportune.i18n.formats import format_number, localize_number


def describe_abilities(model: LlmModel) -> str:
    """Return abilities and prices in the user's language: `sees pictures, 128,000 tokens, 0.25 + 2 per million`."""
    abilities = []
    if model.sees_images:
        abilities.append(gettext("sees pictures"))
    if model.calls_tools:
        abilities.append(gettext("calls tools"))
    tokens = model.context_tokens
    abilities.append(ngettext("%(number)s token", "%(number)s tokens", tokens, number=format_number(tokens)))
    if model.has_price:
        prices = (model.price_per_million_prompt_tokens, model.price_per_million_answer_tokens)
        prompt, answer = (localize_number(f"{price.normalize():f}") for price in prices)
        abilities.append(gettext("%(prompt)s + %(answer)s per million", prompt=prompt, answer=answer))
    return ", ".join(abilities)
