"""Inputs of translated fields: one for each language of the site, such as `title.en` and `title.de`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from starlette.datastructures import FormData

from opportune.config.languages import Language, find_language
from opportune.db.models.translated import writing_language
from opportune.i18n.languages import content_languages
from opportune.schemas.annotations import Attribute
from opportune.web.forms.controls import Field, html_attributes


def input_name(name: str, code: str) -> str:
    return f"{name}.{code}"


def input_names(name: str) -> dict[str, str]:
    """Return the names of the inputs of a field by language."""
    return {language.code: input_name(name, language.code) for language in form_languages()}


def form_languages() -> Sequence[Language]:
    """Return the languages that have an input, the site's own first. Empty if the site has one language."""
    languages = [language for code in content_languages() if (language := find_language(code))]
    return languages if len(languages) > 1 else ()


def current_input(name: str) -> str:
    return input_name(name, writing_language())


def submitted_texts(submitted: FormData | Mapping[str, object], name: str) -> dict[str, str] | None:
    """Return the texts of a translated field by language, without empty ones.

    None if the form has no input for a language, such as one that was rendered while the site had one language.
    """
    texts = {code: submitted.get(input_) for code, input_ in input_names(name).items()}
    if all(text is None for text in texts.values()):
        return None
    return {code: text.replace("\r\n", "\n") for code, text in texts.items() if isinstance(text, str) and text}


def translation_fields(
    field: Field, name: str, texts: Mapping[str, str], errors: Mapping[str, str], *, has_messages: bool = True
) -> Iterator[Field]:
    """Yield a field for each language, or none if the site has one language.

    The first has the id of the field, and only it is required.

    If the field has the focus, the first language with an error gets it.

    Args:
        field: The field for all languages.
        name: Name of the field, to which each input adds its language.
        texts: Texts by language.
        errors: Error messages by language.
        has_messages: Whether each input has its own message. If not, the field has one for all.
    """
    languages = form_languages()
    focused = next((language for language in languages if errors.get(language.code)), next(iter(languages), None))
    has_focus = field.attributes.get("autofocus") is not None
    for language in languages:
        is_first = language is languages[0]
        inner = replace(
            field,
            label=language.name,
            required=field.required and is_first,
            help="",
            error=errors.get(language.code, ""),
            values=[texts.get(language.code, "")],
        )
        id_ = str(field.attributes["id"]) if is_first else f"{field.attributes['id']}-{language.code}"
        attributes = _attributes(inner, id_, has_message=has_messages)
        attributes |= {"name": input_name(name, language.code), "lang": language.code, "dir": language.direction}
        attributes["autofocus"] = has_focus and language is focused
        yield replace(inner, attributes=html_attributes(attributes))


def _attributes(field: Field, id_: str, *, has_message: bool) -> dict[str, Attribute]:
    """Return the attributes of a field with its error, and with another id."""
    descriptions = str(field.attributes.get("aria-describedby") or "")
    if field.error and has_message:
        descriptions = f"{id_}-error {descriptions}".strip()
    return {
        **field.attributes,
        "id": id_,
        "required": field.required,
        "aria-invalid": "true" if field.error else None,
        "aria-describedby": descriptions or None,
    }
