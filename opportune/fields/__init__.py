"""Field types for the database, forms, the API, the admin, imports and exports."""

from opportune.fields.addresses import Country, Email, Phone, Url, national
from opportune.fields.contents import Json, Markdown, Money, TextList, Translated, TranslatedText, money_field, texts_of
from opportune.fields.files import File, FileColumn, Image, ImageColumn, file_field, image_field, stored_uploads
from opportune.fields.slugs import Slug, find_moved, slug_field, slugify
from opportune.schemas.annotations import FieldOptions, Stored
from opportune.schemas.text import Line, Password, Text

__all__ = [
    "Country",
    "Email",
    "FieldOptions",
    "File",
    "FileColumn",
    "Image",
    "ImageColumn",
    "Json",
    "Line",
    "Markdown",
    "Money",
    "Password",
    "Phone",
    "Slug",
    "Stored",
    "Text",
    "TextList",
    "Translated",
    "TranslatedText",
    "Url",
    "file_field",
    "find_moved",
    "image_field",
    "money_field",
    "national",
    "slug_field",
    "slugify",
    "stored_uploads",
    "texts_of",
]
