"""Inputs of translated fields: one for each language of the site, such as `title.en` and `title.de`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.datastructures import FormData

from opportune.config.languages import Language, find_language
from opportune.db.models.translated import writing_language
from opportune.i18n.languages import content_languages
from opportune.web.forms.controls import Field, html_attributes


def input_name(name: str, code: str) -> str:
    return f"{name}.{code}"


def form_languages() -> Sequence[Language]:
    """Return the languages that have an input, the site's own first. Empty if the site has one language."""
    languages = [language for code in content_languages() if (language := find_language(code))]
    return languages if len(languages) > 1 else ()


def current_input(name: str) -> str:
    """Return the name of the input for the current language."""
    return input_name(name, writing_language())


def submitted_texts(submitted: FormData | Mapping[str, object], name: str) -> dict[str, str] | None:
    """Return the submitted texts of a translated field, or None if the form has no input for each language."""
    texts = {language.code: submitted.get(input_name(name, language.code)) for language in form_languages()}
    if all(text is None for text in texts.values()):
        return None
    return {code: text.replace("\r\n", "\n") for code, text in texts.items() if isinstance(text, str) and text}


def translation_fields(
    field: Field, name: str, texts: Mapping[str, str], errors: Mapping[str, str], *, has_messages: bool = True
) -> Sequence[Field]:
    """Return a field for each language. The first has the id of the field, and only it is required.

    Args:
        field: The field for all languages.
        name: Name of the field, to which each input adds its language.
        texts: Texts by language.
        errors: Error messages by language.
        has_messages: Whether each input has its own message. If not, the field has one for all.
    """
    languages = form_languages()
    focused = next((language for language in languages if errors.get(language.code)), languages[0])
    has_focus = "autofocus" in field.attributes
    return [
        _translation_field(
            replace(field, error=errors.get(language.code, ""), values=[texts.get(language.code, "")]),
            name,
            language,
            is_first=language is languages[0],
            autofocus=has_focus and language is focused,
            has_message=has_messages,
        )
        for language in languages
    ]


def _translation_field(
    field: Field, name: str, language: Language, *, is_first: bool, autofocus: bool, has_message: bool
) -> Field:
    id_ = field.attributes["id"] if is_first else f"{field.attributes['id']}-{language.code}"
    described_by = str(field.attributes.get("aria-describedby") or "")
    if field.error and has_message:
        described_by = f"{id_}-error {described_by}".strip()
    required = field.required and is_first
    attributes = {
        **field.attributes,
        "id": id_,
        "name": input_name(name, language.code),
        "lang": language.code,
        "dir": language.direction,
        "required": required,
        "aria-invalid": "true" if field.error else None,
        "aria-describedby": described_by or None,
        "autofocus": autofocus,
    }
    return replace(field, label=language.name, required=required, help="", attributes=html_attributes(attributes))
