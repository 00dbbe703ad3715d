"""Translation of texts. Without a translation, the English text is returned."""

import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from opportune.i18n.catalogues import catalogue_of, find_label, find_translation
from opportune.i18n.directions import is_right_to_left, isolate
from opportune.i18n.languages import current_language

LANGUAGES_WITH_CAPITALS = ("de", "lb")
"""Languages whose nouns have a capital inside a sentence."""

KEPT_PLACEHOLDER = re.compile(r"(?<=\u2068)%\((\w+)\)s|%\((\w+)\)s(?=[^<>]*>)")
"""Placeholder that the translator has isolated, or in a tag of HTML."""

logger = logging.getLogger(__name__)


def gettext(text: str, /, **values: Any) -> str:
    """Translate a text: `_("Signed in as %(name)s.", name=user.name)`.

    Without values, percent signs are not placeholders.
    """
    translation = str(text) if isinstance(text, LazyText) else find_translation(current_language.get(), "", text)
    return fill_in(translation, text, values) if values else translation


def pgettext(context: str, text: str, /, **values: Any) -> str:
    """Translate a text with a context, for words with several meanings: `pgettext("month", "May")`."""
    translation = translate(text, context=context)
    return fill_in(translation, text, values) if values else translation


def ngettext(singular: str, plural: str, num: int, /, **values: Any) -> str:
    """Translate a text with a number: `ngettext("%(num)s book", "%(num)s books", count)`."""
    return npgettext("", singular, plural, num, **values)


def npgettext(context: str, singular: str, plural: str, num: int, /, **values: Any) -> str:
    """Translate a text with a number and a context."""
    translation = translate(singular, plural, num, context=context)
    return fill_in(translation, singular if num == 1 else plural, {"num": num, **values})


def translate(text: str, plural: str = "", num: int = 1, *, context: str = "") -> str:
    """Return the translation with its placeholders, or the English text."""
    if not plural:
        return find_translation(current_language.get(), context, text)
    catalogue = catalogue_of(current_language.get())
    return catalogue.npgettext(context, text, plural, num) if context else catalogue.ngettext(text, plural, num)


def fill_in(translation: str, text: str, values: Mapping[str, Any]) -> str:
    """Fill in the placeholders of a translation, or of the English text if the translation is broken."""
    if is_right_to_left():
        kept = {name for names in KEPT_PLACEHOLDER.findall(translation) for name in names}
        values = {name: value if name in kept else isolate(value) for name, value in values.items()}
    try:
        return translation % values
    except (KeyError, TypeError, ValueError):
        _log_broken_translation(str(translation), current_language.get())
        return text % values


class ReadableText(str):
    """Base of texts that read in the current language wherever they are formatted or rendered."""

    def __format__(self, format_spec: str) -> str:
        return format(str(self), format_spec)

    def __html__(self) -> Markup:
        return escape(str(self))


class LazyText(ReadableText):
    """Text of a declaration, translated when it is rendered or formatted. It equals its English text."""

    context = ""
    template = ""
    """Text with placeholders, for a text that contains others."""
    values: Mapping[str, object] = {}

    def __str__(self) -> str:
        if self.template:
            return pgettext(self.context, self.template, **self.values)
        return find_translation(current_language.get(), self.context, str.__str__(self))


class DerivedLabel(LazyText):
    """Label that is made of the name of a model, a field or a choice. Names of the project come first."""

    def __str__(self) -> str:
        return find_label(current_language.get(), str.__str__(self))


def gettext_lazy(text: str) -> LazyText:
    """Mark a text in a module, which is translated for each request: `TITLE = _l("Books")`."""
    return text if isinstance(text, LazyText) else LazyText(text)


def pgettext_lazy(context: str, text: str) -> LazyText:
    """Mark a text with a context in a module, which is translated for each request."""
    lazy_text = LazyText(text)
    lazy_text.context = context
    return lazy_text


def format_lazy(template: str, **values: object) -> LazyText:
    """Fill in a text in a module. It and its values are translated for each request.

    label = format_lazy("%(label)s is empty", label=label_of("owner_id"))
    """
    lazy_text = LazyText(str.__str__(template) % {name: _source(value) for name, value in values.items()})
    lazy_text.template = str.__str__(template)
    lazy_text.values = values
    return lazy_text


def lower_name(name: str) -> str:
    """Translate a name for the middle of a sentence, such as "Add book". Languages such as German keep the capital.

    Words such as "API" always keep theirs.
    """
    text = str(name)
    if current_language.get().partition("-")[0] in LANGUAGES_WITH_CAPITALS:
        return text
    return " ".join(word if word[1:] != word[1:].lower() else word.lower() for word in text.split(" "))


def _source(value: object) -> object:
    """Return the English text of a value."""
    return str.__str__(value) if isinstance(value, str) else value


@lru_cache(1000)
def _log_broken_translation(translation: str, language: str) -> None:
    """Log a translation with a broken placeholder once."""
    logger.error("The %s translation %r has a broken placeholder. The English text is shown.", language, translation)
