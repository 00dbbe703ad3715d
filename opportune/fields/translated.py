"""Fields with a text in each language of the site."""

from typing import Annotated, TypeVar

from opportune.db.models.translated import TranslatedColumn, TranslatedText, texts_of
from opportune.db.models.translation import Translation
from opportune.schemas.annotations import Stored

__all__ = ["Translated", "TranslatedText", "texts_of"]

T = TypeVar("T", bound=str)

Translated = Annotated[T, Translation(), Stored(TranslatedColumn())]
"""Text in each language of the site: `title: Translated[Line]`. Type checkers see a `str`."""
