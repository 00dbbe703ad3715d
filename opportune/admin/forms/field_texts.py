"""Translations of the messages of SQLAdmin's and WTForms' fields."""

from functools import cache
from gettext import NullTranslations, translation

from wtforms.i18n import messages_path

from opportune.i18n import current_language, gettext
from opportune.i18n.translation import translate
from opportune.web.forms.error_messages import INVALID_CHOICE, MESSAGES, MISSING_VALUE

SITE_TEXTS = {
    "This field is required.": MISSING_VALUE,
    "Invalid JSON": MESSAGES["json_invalid"],
    **dict.fromkeys(("Not a valid choice", "Not a valid choice.", "Invalid Choice: could not coerce"), INVALID_CHOICE),
}
"""Messages of the site's forms by those of SQLAdmin's and WTForms' fields."""


class FieldTexts:
    """Translations of messages of fields and validators: by the site's catalogues, or by those of WTForms."""

    def gettext(self, text: str) -> str:
        translated = gettext(SITE_TEXTS.get(text, text))
        return translated if translated != text else _wtforms_catalogue(current_language.get()).gettext(text)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        text = singular if number == 1 else plural
        translated = translate(singular, plural, number)
        catalogue = _wtforms_catalogue(current_language.get())
        return translated if translated != text else catalogue.ngettext(singular, plural, number)


@cache
def _wtforms_catalogue(language: str) -> NullTranslations:
    code = language.replace("-", "_")
    return translation("wtforms", messages_path(), [code, code.partition("_")[0]], fallback=True)
