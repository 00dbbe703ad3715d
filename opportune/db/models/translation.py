"""Annotation of fields whose value is a text in several languages."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo, ValidatorFunctionWrapHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, ValidationError, core_schema
from sqlalchemy.orm.attributes import instance_state
from sqlmodel import SQLModel
from sqlmodel.main import FieldInfoMetadata

from opportune.db.models.translated import TranslatedText, site_language, texts_of, writing_language
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.languages import content_languages
from opportune.schemas.annotations import Attached

ALL_LANGUAGES = "all"
"""Context of a serialization that writes the texts in all languages instead of one."""
UNKNOWN_LANGUAGE = _l("This site has no language %(code)s. It has: %(codes)s.")


def replace_texts(stored: object, value: str | Mapping[str, str]) -> TranslatedText:
    """Return the value after an assignment.

    A plain string replaces the text in the current language. A mapping or `TranslatedText` replaces the texts in all
    languages of the site. Texts in languages that the site no longer has are kept.
    """
    before = stored.texts if isinstance(stored, TranslatedText) else {}
    is_one_text = isinstance(value, str) and not isinstance(value, TranslatedText)
    replaced = (writing_language(),) if is_one_text else content_languages()
    kept = {language: text for language, text in before.items() if language not in replaced}
    return TranslatedText({**kept, **TranslatedText(value).texts})


@dataclass(frozen=True)
class Translation(Attached):
    """Annotation of a field whose value is a `TranslatedText`. The annotations before it apply to each text."""

    is_required: bool = False
    """Whether the text in the site's language is required."""
    is_partial: bool = False
    """Whether a plain string in another language is complete, because the row already has other texts."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        serializer = core_schema.plain_serializer_function_ser_schema(_serialize, info_arg=True)
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source), serialization=serializer)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = handler(schema["schema"])
        texts = {"type": "object", "additionalProperties": text, "description": "Texts by language."}
        return {"anyOf": [text, texts]}

    def _validate(self, value: object, validate: ValidatorFunctionWrapHandler) -> str:
        if isinstance(value, TranslatedText):  # a stored text may have languages that the site no longer has
            return self._validate_texts(value.texts, validate)
        if isinstance(value, Mapping):
            _refuse_unknown_languages(value)
            return self._validate_texts(value, validate)
        text = str(validate(value))
        is_complete = self.is_partial or writing_language() == site_language()
        if self.is_required and not (text and is_complete):
            raise _missing_text(value)
        return text  # an assignment to a row replaces the text in the current language

    def _validate_texts(self, texts: Mapping[str, Any], validate: ValidatorFunctionWrapHandler) -> TranslatedText:
        languages = content_languages()
        valid: dict[str, str] = {}
        for language, text in texts.items():
            if text not in ("", None):
                valid[language] = validate(text, language) if language in languages else text
        if self.is_required and not valid.get(site_language()):
            raise _missing_text(texts)
        return TranslatedText(valid)

    def attach(self, model: type[SQLModel], name: str) -> None:
        """Let the field's other annotations apply to each text, and let assignments replace texts."""
        info = model.model_fields[name]
        _apply_to_each_text(info, self)
        model_class: Any = model
        assign = model_class.__setattr__

        def assign_texts(row: SQLModel, attribute: str, value: Any) -> None:
            if attribute == name and value is not None:
                is_new = instance_state(row).transient
                value = replace_texts(vars(row).get(name) if is_new else getattr(row, name), value)
            assign(row, attribute, value)

        model_class.__setattr__ = assign_texts


def allow_single_texts(type_: Any) -> Any:
    """Return the type of a changed value: a plain string in any language is complete."""
    annotations = getattr(type_, "__metadata__", ())
    changed = [replace(item, is_partial=True) if isinstance(item, Translation) else item for item in annotations]
    return Annotated[(type_.__origin__, *changed)] if changed else type_


def _apply_to_each_text(info: FieldInfo, annotation: Translation) -> None:
    """Move the annotation behind those that `Field` adds, such as the maximum length, so that it wraps them."""
    limits = [item for item in info.metadata if not isinstance(item, Translation | FieldInfoMetadata)]
    others = [item for item in info.metadata if isinstance(item, FieldInfoMetadata)]
    if annotation in info.metadata:
        info.metadata = [*limits, replace(annotation, is_required=info.is_required()), *others]
        return
    inner = next(member for member in get_args(info.annotation) if hasattr(member, "__metadata__"))
    texts = [item for item in inner.__metadata__ if not isinstance(item, Translation)]
    info.annotation = Annotated[(inner.__origin__, *limits, *texts, annotation)] | None  # type: ignore[assignment]
    info.metadata = others


def _refuse_unknown_languages(texts: Mapping[str, Any]) -> None:
    languages = content_languages()
    unknown = [code for code in texts if code not in languages]
    if unknown:
        codes = {"code": str(unknown[0])[:20], "codes": ", ".join(languages)}
        raise PydanticCustomError("unknown_language", str(UNKNOWN_LANGUAGE) % codes)


def _missing_text(value: object) -> ValidationError:
    details = InitErrorDetails(type="missing", loc=(site_language(),), input=value)
    return ValidationError.from_exception_data("text", [details])


def _serialize(value: Any, info: SerializationInfo) -> Any:
    if info.context == ALL_LANGUAGES:
        return dict(texts_of(value))
    return str(value) if info.mode == "json" else value
