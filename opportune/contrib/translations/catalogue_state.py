"""Translations of a catalogue that are missing, fuzzy or broken."""

from dataclasses import dataclass, field

from opportune.i18n.catalogue_compiler import messages_of, parse_catalogue, placeholder_problem, texts


@dataclass
class CatalogueState:
    """Translations of a catalogue that are not shown."""

    missing: int = 0
    fuzzy: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    """Problems by English text: wrong placeholders, or too few plural forms."""


def examine_catalogue(content: bytes, locale: str | None = None) -> CatalogueState:
    """Count the translations that are missing, fuzzy or broken.

    Args:
        locale: Its language, which decides about the plural forms if the content does not name them.
    """
    state = CatalogueState()
    catalogue = parse_catalogue(content, locale)
    for message in messages_of(catalogue):
        translations = texts(message.string)
        if message.fuzzy:
            state.fuzzy += 1
        elif not any(translations):
            state.missing += 1
        elif problem := placeholder_problem(message, catalogue):
            state.broken[texts(message.id)[0]] = problem
        elif not all(translations):
            forms = f"{sum(map(bool, translations))} of {len(translations)} plural forms"
            state.broken[texts(message.id)[0]] = forms
    return state
