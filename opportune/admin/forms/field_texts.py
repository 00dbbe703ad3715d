"""Translations of the messages of SQLAdmin's and WTForms' fields."""

from functools import cache
from gettext import NullTranslations

from wtforms.i18n import get_translations

from opportune.i18n import current_language, gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.translation import translate

SQLADMIN_TEXTS = (_l("Not a valid choice"), _l("Invalid JSON"), _l("Invalid Choice: could not coerce"))
"""Messages of SQLAdmin's fields, which has no translations into most languages."""


class FieldTexts:
    """Translations of messages of fields and validators: by the site's catalogues, or by those of WTForms."""

    def gettext(self, text: str) -> str:
        translation = gettext(text)
        return translation if translation != text else _wtforms_catalogue(current_language.get()).gettext(text)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        text = singular if number == 1 else plural
        translation = translate(singular, plural, number)
        catalogue = _wtforms_catalogue(current_language.get())
        return translation if translation != text else catalogue.ngettext(singular, plural, number)


@cache
def _wtforms_catalogue(language: str) -> NullTranslations:
    code = language.replace("-", "_")
    try:
        catalogue: NullTranslations = get_translations([code, code.partition("_")[0]])
    except FileNotFoundError:
        return NullTranslations()
    return catalogue
