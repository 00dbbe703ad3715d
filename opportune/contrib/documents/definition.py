"""Definition of an index of documents: names, columns, and address of its database."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, SecretStr, ValidationInfo

from opportune.config.base_settings import BaseSettings
from opportune.config.settings import Settings
from opportune.contrib.documents.document import Document, DocumentHit, IndexMissing, columns_of
from opportune.db.url.database_url import DatabaseUrl

H = TypeVar("H", bound=DocumentHit)


@dataclass(frozen=True)
class IndexDefinition(Generic[H]):
    """Names, columns and database of an index of documents."""

    name: str
    """Name of the schema or file, of `app.state.<name>`, and of the command."""
    title: str
    """Title in messages, after "There is no index of"."""
    document: type[Document] = Document
    hit: type[H] = DocumentHit  # type: ignore[assignment]  # the default of H
    """Type of the search results. A search reads only the columns of `document` that are fields of this type."""
    settings: type[BaseSettings] | None = None
    """The feature's settings, if its field `<name>_database_url: IndexUrl` may place the index in another database."""
    by_meaning: bool = False
    """Also find documents by meaning, if EMBEDDING_MODEL names a model. A job computes their vectors."""

    @property
    def command(self) -> str:
        """Command that builds the index."""
        return f"python3 oppman.py {self.name} index"

    @property
    def setting(self) -> str:
        """Name of the setting with the URL of the database."""
        return f"{self.name}_database_url".upper() if self.settings else "DATABASE_URL"

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return columns_of(self.document)

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Columns that are also fields of `hit`. They are read for each search result."""
        return tuple(name for name in self.columns if name in self.hit.model_fields)

    @property
    def missing_error(self) -> IndexMissing:
        return IndexMissing(self.title)

    def url(self, settings: Settings) -> DatabaseUrl:
        """Return the URL of the database of the index.

        Raises:
            OperatorError: The setting or DATABASE_URL is invalid.
        """
        feature_settings = settings.of(self.settings) if self.settings else None
        value = getattr(feature_settings, self.setting.lower(), SecretStr("")).get_secret_value()
        if value:
            return DatabaseUrl.parse(value, settings.database_pooled, self.setting)
        site_url = DatabaseUrl.parse(settings.database_url.get_secret_value(), settings.database_pooled)
        if site_url.kind == "postgresql":
            return site_url
        file_url = site_url.url.set(database=str(site_url.path.with_name(f"{self.name}.db")))
        return DatabaseUrl("sqlite", file_url, name=self.setting)


by_meaning: dict[str, IndexDefinition[Any]] = {}
"""Indexes that are also searched by meaning, by name of the index."""


def _validate_url(value: SecretStr, info: ValidationInfo) -> SecretStr:
    if url := value.get_secret_value():
        DatabaseUrl.parse(url, name=(info.field_name or "").upper())
    return value


IndexUrl = Annotated[SecretStr, AfterValidator(_validate_url)]
"""Type of a setting with the URL of the index's database; empty for the default. The site does not start with an
invalid URL."""
