"""What a search finds, and what the pages and the API show."""

from datetime import datetime
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, computed_field

from opportune.errors import Busy
from opportune.pagination import Page

Kind = Literal[
    "module",
    "class",
    "exception",
    "function",
    "method",
    "property",
    "attribute",
    "data",
    "section",
    "term",
    "other",
    "keyword",
    "topic",
]

MAX_QUERY_LENGTH = 200
"""Characters of a query that are looked at; what follows is cut off."""
MAX_RANKED_HITS = 400
"""Hits that are ranked, the most important entries first: `total` stops there."""


class IndexMissing(Busy):
    """Nothing has been indexed yet: the web answers 503 unless a page shows it in its own way."""

    COMMAND = "python3 oppman.py pydocs index"

    def __init__(self) -> None:
        super().__init__("There is no index of the documentation yet. Look again in a minute.")


class EntryLink(BaseModel):
    """An entry's name and where its page is."""

    slug: str
    """Unique in the index: `os.path.join`, `library/os.path.html#module-contents`."""
    name: str
    """The whole dotted name of a symbol (`os.path.join`), or the title of a section."""
    kind: Kind
    title: str
    """The first line of the text, or nothing."""

    @computed_field  # type: ignore[prop-decorator]  # as Pydantic's documentation says
    @property
    def url(self) -> str:
        return f"/pydocs/{quote(self.slug)}"


class SearchHit(EntryLink):
    module: str
    """The module or page that it belongs to; nothing where it is that itself."""
    name_html: str
    """`name`, escaped, with what was looked for in <mark>. Safe."""
    snippet_html: str
    """Some words of the text, escaped, with what was looked for in <mark>. Safe."""


class SearchResults(Page[SearchHit]):
    """The best first. `total` is at most `DEEPEST`: more are neither counted nor shown."""

    query: str
    """What was asked, without what no database takes, cut to `LONGEST`."""
    corrected: str = ""
    """What was searched instead, because nothing was found and this is spelt nearly so; else nothing."""


class EntryRead(EntryLink):
    """One page of the documentation."""

    module: str
    signature: str
    """As plain text: `join(a, *p)`; nothing where it cannot be called."""
    body_html: str
    """Cleaned HTML. Safe."""
    source: str
    """Where it was found: a page's path in the indexed folder, or nothing."""
    parent: EntryLink | None
    children: list[EntryLink]


class IndexStatus(BaseModel):
    """What the index holds."""

    entries: int
    source: str
    """What was indexed: `Python 3.11.7`, or a folder's project and version."""
    built_at: datetime
    mends_typos: bool
    skipped: int
    """Modules and pages that could not be read."""
