"""Form field for a column with a text in each language."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from markupsafe import Markup
from starlette.datastructures import FormData

from opportune.admin.forms.model_fields import ModelField, macros
from opportune.db.models.translated import site_language, texts_of, writing_language
from opportune.i18n import find_language
from opportune.i18n.languages import content_languages
from opportune.web.forms.translations import form_languages, submitted_texts, translation_fields


class TranslatedField(ModelField):
    """A field with an input for each language, such as `title.en` and `title.de`. Its text is an object of JSON.

    If the site has one language, it has one input with a plain text. Imports may contain both.
    """

    def process(self, formdata: Any, *args: Any, **options: Any) -> None:
        if formdata and (texts := submitted_texts(formdata, self.name)) is not None:
            formdata = FormData([(self.name, _dump_texts(texts))])
        super().process(formdata, *args, **options)

    def _parse_control(self, text: str) -> Any:
        return _parse_texts(text)

    def _message_for(self, error: Mapping[str, Any]) -> str:
        language = find_language(_language_of(error)) if form_languages() else None
        message = super()._message_for(error)
        return f"{language.name}: {message}" if language else message

    def _format(self, value: Any) -> str:
        texts = texts_of(value or "")
        return _dump_texts(texts) if form_languages() else texts.get(site_language(), "")

    def __call__(self, **attributes: Any) -> Markup:
        if not form_languages():
            return super().__call__(**attributes)
        attributes.pop("aria_label", None)  # each input has a label with its language, which this would replace
        page_field, _ = self._page_field(attributes)
        value = _parse_texts(self.text)
        texts = value if isinstance(value, dict) else {writing_language(): value}
        errors = {_language_of(self.refusal) or site_language(): page_field.error}
        inputs = [*translation_fields(page_field, self.name, texts, errors, has_messages=False)]
        return cast("Markup", macros().translations(replace(page_field, translations=inputs), has_messages=False))


def _language_of(error: Mapping[str, Any]) -> str:
    """Return the language of the text that was refused. Empty if the error is about all texts, or there is none."""
    return next((part for part in error.get("loc", ()) if part in content_languages()), "")


def _dump_texts(texts: Mapping[str, str]) -> str:
    present = {code: texts[code] for code in content_languages() if texts.get(code)}
    return json.dumps(present, ensure_ascii=False) if present else ""


def _parse_texts(text: str) -> Any:
    """Return the texts by language, or the text itself if it is not an object of JSON."""
    try:
        texts = json.loads(text) if text.startswith("{") else text
    except (ValueError, RecursionError):
        return text
    return texts if isinstance(texts, dict) else text
