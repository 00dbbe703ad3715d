"""Texts in several languages: their value, their column type, the current text as SQL, and the annotation of fields."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self, SupportsIndex, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo, ValidatorFunctionWrapHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, ValidationError, core_schema
from sqlalchemy import JSON, Column, ColumnElement, Dialect, String, bindparam, func, literal_column, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel
from sqlmodel.main import FieldInfoMetadata

from opportune.i18n import gettext_lazy as _l
from opportune.i18n.languages import content_languages, current_language
from opportune.i18n.translation import ReadableText
from opportune.schemas.annotations import Attached

ALL_LANGUAGES = "all"
"""Context of a serialization that writes the texts in all languages instead of one."""
UNKNOWN_LANGUAGE = _l("This site has no language %(code)s. It has: %(codes)s.")


def writing_language() -> str:
    """Return the language of a text without one: the current language, or the site's if it does not store that."""
    languages = content_languages()
    current = current_language.get()
    return current if current in languages else languages[0]


def site_language() -> str:
    return content_languages()[0]


def languages_to_read() -> list[str]:
    """Return the languages in which a text reads, the preferred ones first: the current, the site's and the others."""
    return [*dict.fromkeys((writing_language(), *content_languages()))]


class TranslatedText(ReadableText):
    """Text in several languages, such as `TranslatedText({"en": "Emma", "de": "Emma"})`. It is immutable.

    It reads as the text in the first of `languages_to_read` that it has. `title["de"]` is the German text, or an empty
    string.
    """

    texts: Mapping[str, str]
    """Texts by the code of their language, without empty ones."""

    def __new__(cls, texts: str | Mapping[str, str] = "") -> Self:
        """Create a text. A plain string is in the current language."""
        if isinstance(texts, TranslatedText):
            texts = texts.texts
        by_language = {writing_language(): str(texts)} if isinstance(texts, str) else texts
        by_language = {language: text for language, text in by_language.items() if text}
        self = super().__new__(cls, by_language.get(_language_of(by_language), ""))
        self.texts = by_language
        return self

    @property
    def language(self) -> str:
        """The language in which the text reads now. Empty if there is no text."""
        return _language_of(self.texts)

    def __str__(self) -> str:
        return self.texts.get(self.language, "")

    def __getitem__(self, key: SupportsIndex | slice | str) -> str:
        return self.texts.get(key, "") if isinstance(key, str) else str(self)[key]

    def __eq__(self, other: object) -> bool:
        return self.texts == other.texts if isinstance(other, TranslatedText) else str(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        # The text that it reads as, and so the plain string that it equals, depends on the language of the request.
        return hash(frozenset(self.texts.items()))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (dict(self.texts),)


def _language_of(texts: Mapping[str, str]) -> str:
    return next((language for language in languages_to_read() if texts.get(language)), "")


def texts_of(text: str) -> Mapping[str, str]:
    """Return the texts of a translated field by language. A plain string is in the current language."""
    return TranslatedText(text).texts


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


class TranslatedComparator(TypeEngine.Comparator[Any]):
    """Compares, searches and sorts the text in the current language: `Book.title == "Emma"`, `Book.title.asc()`.

    `Book.title["de"]` is the German text.
    """

    def operate(self, op: Any, *other: Any, **options: Any) -> ColumnElement[Any]:
        if op is operators.getitem:
            return _text_in(self.expr, "text", value=other[0], unique=True)
        if op is operators.eq and isinstance(other[0], ColumnElement) and hash(other[0]) == hash(self.expr):
            return super().operate(op, *other, **options)  # SQLAlchemy finds columns in dictionaries with it
        is_null_test = op in (operators.is_, operators.is_not) or any(item is None for item in other)
        column = type_coerce(self.expr, JSON) if is_null_test else current_text(self.expr)
        return op(column, *map(_as_text, other), **options)  # type: ignore[no-any-return]  # an operator

    def reverse_operate(self, op: Any, other: Any, **options: Any) -> ColumnElement[Any]:
        return op(other, current_text(self.expr), **options)  # type: ignore[no-any-return]  # an operator


class TranslatedColumn(TypeDecorator[TranslatedText]):
    """Column type of a translated text: an object of JSON with the text by language.

    Args:
        text_type: Column type that each text would have alone.
    """

    impl = JSON
    cache_ok = True
    comparator_factory = TranslatedComparator

    def __init__(self, text_type: TypeEngine[str] | None = None) -> None:
        super().__init__(none_as_null=True)
        self.text_type = text_type or String()

    @property
    def python_type(self) -> type[Any]:
        return str

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "postgresql":
            return self.impl_instance
        from sqlalchemy.dialects.postgresql import JSONB  # SQLite does not need this dialect

        return JSONB(none_as_null=True)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else TranslatedText(value).texts

    def process_result_value(self, value: Any, dialect: Dialect) -> TranslatedText | None:
        return None if value is None else TranslatedText(value)


def is_translated(column: Column[Any] | Any) -> bool:
    return isinstance(column.type, TranslatedColumn)


class _CurrentText(FunctionElement[str]):
    """Text of a column in the first of `languages_to_read` that it has, else an empty text."""

    type = String()
    inherit_cache = True


@compiles(_CurrentText)
def _coalesce_languages(element: _CurrentText, compiler: SQLCompiler, **options: Any) -> str:
    # Compiled SQL is cached for each engine. Only the current language is read when a statement runs. Equal names of
    # parameters let PostgreSQL recognize the same text in SELECT and GROUP BY.
    (column,) = element.clauses
    languages = content_languages()
    texts = [_text_in(column, "current_text_language", callable_=writing_language)]
    if len(languages) > 1:
        texts += [
            _text_in(column, f"current_text_language_{index}", value=code) for index, code in enumerate(languages)
        ]
    return compiler.process(func.coalesce(*texts, literal_column("''"), type_=String()), **options)


def current_text(column: Any) -> ColumnElement[str]:
    return _CurrentText(column)


def _as_text(operand: Any) -> Any:
    """Return the text of a translated column. Other operands are returned unchanged."""
    return current_text(operand) if isinstance(getattr(operand, "type", None), TranslatedColumn) else operand


def _text_in(column: Any, name: str, **options: Any) -> ColumnElement[str]:
    language = bindparam(name, type_=JSON.JSONStrIndexType(), **options)
    text: ColumnElement[str] = type_coerce(column, JSON)[language].as_string()
    return text


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
