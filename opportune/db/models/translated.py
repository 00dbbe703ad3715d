"""Texts in several languages: their value, their column type, and the current text as SQL."""

from collections.abc import Mapping
from typing import Any, Self, SupportsIndex

from sqlalchemy import JSON, Column, ColumnElement, Dialect, String, bindparam, func, literal_column, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from opportune.i18n.languages import content_languages, current_language
from opportune.i18n.translation import ReadableText


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
        nonempty = {language: text for language, text in by_language.items() if text}
        self = super().__new__(cls, nonempty.get(_language_of(nonempty), ""))
        self.texts = nonempty
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
    """Return the language in which the texts read now. Empty if there is no text."""
    return next((language for language in languages_to_read() if texts.get(language)), "")


def texts_of(text: str) -> Mapping[str, str]:
    """Return the texts of a translated field by language. A plain string is in the current language."""
    return TranslatedText(text).texts


class TranslatedComparator(TypeEngine.Comparator[Any]):
    """Compares, searches and sorts the text in the current language: `Book.title == "Emma"`, `Book.title.asc()`.

    `Book.title["de"]` is the German text.
    """

    def operate(self, op: Any, *other: Any, **options: Any) -> ColumnElement[Any]:
        if op is operators.getitem:
            return _text_in(self.expr, "text", value=other[0], unique=True)
        if op is operators.eq and isinstance(other[0], ColumnElement) and hash(other[0]) == hash(self.expr):
            return super().operate(op, *other, **options)  # with this, SQLAlchemy finds a column in a dictionary
        is_null_test = op in (operators.is_, operators.is_not) or any(item is None for item in other)
        column = type_coerce(self.expr, JSON) if is_null_test else current_text(self.expr)
        return op(column, *map(_as_text, other), **options)  # type: ignore[no-any-return]  # an operator

    def reverse_operate(self, op: Any, other: Any, **options: Any) -> ColumnElement[Any]:
        return op(other, current_text(self.expr), **options)  # type: ignore[no-any-return]  # an operator


class TranslatedColumn(TypeDecorator[TranslatedText]):
    """Column type of a translated text: an object of JSON with the text by language. `text_type` is that of a text."""

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
    """Compile to `coalesce(current language, site's language, other languages, '')`.

    Equal names of parameters let PostgreSQL recognize the same text in SELECT and GROUP BY.
    """
    (column,) = element.clauses
    languages = content_languages()
    # Compiled SQL is cached, so the current language is a function that each execution calls.
    texts = [_text_in(column, "current_text_language", callable_=writing_language)]
    if len(languages) > 1:
        texts += [
            _text_in(column, f"current_text_language_{index}", value=code) for index, code in enumerate(languages)
        ]
    return compiler.process(func.coalesce(*texts, literal_column("''"), type_=String()), **options)


def current_text(column: Any) -> ColumnElement[str]:
    """Return the text of a translated column in the current language, for conditions and orders."""
    return _CurrentText(column)


def _as_text(operand: Any) -> Any:
    """Return the text of a translated column. Other operands are returned unchanged."""
    return current_text(operand) if isinstance(getattr(operand, "type", None), TranslatedColumn) else operand


def _text_in(column: Any, name: str, **options: Any) -> ColumnElement[str]:
    """Return the text in one language, which is the parameter `name` with these options."""
    language = bindparam(name, type_=JSON.JSONStrIndexType(), **options)
    text: ColumnElement[str] = type_coerce(column, JSON)[language].as_string()
    return text
