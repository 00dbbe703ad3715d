"""Documents, their sources, results of searches, and the definition of an index."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Generic, NamedTuple, Protocol, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo
from pydantic.json_schema import SkipJsonSchema

from opportune.config.base_settings import BaseSettings
from opportune.config.settings import Settings
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import Busy
from opportune.i18n import gettext as _
from opportune.project.current import OPPMAN
from opportune.schemas import Schema

MAX_TEXT_LENGTH = 4000
"""Maximum characters of plain text for search and snippets."""
MAX_RANKED_HITS = 400
"""Maximum number of ranked hits, and so of `total`."""


@dataclass(slots=True)
class Document:
    """A document of an index, found first by its name, then by its words. Subclasses add fields for display.

    Attributes:
        slug: Unique key.
        name: Name, which matches first.
        title: Title, whose words weigh more than those of the text.
        text: Plain text.
        parent: Slug of the parent document, or an empty string.
    """

    slug: str
    name: str
    title: str = field(default="", kw_only=True)
    text: str = field(default="", kw_only=True)
    parent: str = field(default="", kw_only=True)

    @property
    def is_dotted(self) -> bool:
        """True if suffixes of its name also match: `path.join` and `join` for `os.path.join`."""
        return False

    @property
    def importance(self) -> tuple[Any, ...]:
        """Sort key; smaller values are more important."""
        return len(self.name), self.name, self.slug


class Source(Protocol):
    """A source of documents.

    Attributes:
        title: Name, such as `Python 3.11.7`.
    """

    title: str

    def batches(self) -> list[str]:
        """Return the names of batches: documents that are read together, such as those of a page."""
        ...

    def read(self, batches: Iterable[str]) -> "Generator[tuple[str, list[Any] | str], None, None]":
        """Yield the name of each batch with its documents, or with the reason why it cannot be read."""
        ...


Fields = Mapping[str, Any]
"""Values of a row by column name."""


class IndexMissing(Busy):
    """Raised if the index has not been built. The response is 503 unless a page handles the error."""

    def __init__(self, title: str) -> None:
        super().__init__(_("There is no index of %(title)s yet. Try again in a minute.", title=title))


class DocumentHit(Schema):
    """A document in search results. Subclasses add fields of the document for display."""

    slug: str
    name: str
    title: str
    name_html: str
    """Escaped name with search words in <mark>."""
    snippet_html: str
    """Escaped excerpt of the text with search words in <mark>."""
    similarity: SkipJsonSchema[float | None] = Field(default=None, exclude=True)
    """Similarity of meaning from 0.5 (minimum) to 1 (same); None if unknown."""


class DocumentRead(NamedTuple):
    """A document with its parent and children, as values by column name."""

    document: Fields
    parent: Fields | None
    children: Sequence[Fields]


class IndexStatus(Schema):
    """Contents of an index."""

    entries: int
    source: str
    """Title of the source, such as `Python 3.11.7`."""
    built_at: datetime
    mends_typos: bool
    """Whether misspelt words are corrected. PostgreSQL needs the extension pg_trgm for it."""
    skipped: int
    """Number of batches that could not be read."""


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
        return f"{OPPMAN} {self.name} index"

    @property
    def setting(self) -> str:
        """Name of the setting with the URL of the database."""
        return f"{self.name}_database_url".upper() if self.settings else "DATABASE_URL"

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(field.name for field in fields(self.document))

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
