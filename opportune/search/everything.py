"""Search over everything: entries by their labels, and sources of rows within a limit of number and time."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

from opportune.i18n import gettext
from opportune.i18n.formats import format_list
from opportune.search.folding import fold

HITS_PER_GROUP = 5
MAX_SOURCES = 30
"""Maximum number of models and other sources that one request searches."""
MAX_SECONDS = 1.5
"""Time after which no further source is searched."""


class Entry(NamedTuple):
    """A page, a row or an action."""

    label: str
    url: str
    """URL, or `#id` of a control of the current page, which the palette presses."""
    icon: str
    """Class of the icon."""


class EntryGroup(NamedTuple):
    title: str
    entries: Sequence[Entry]
    more_url: str = ""
    """Page with all results; empty if there are no others."""


Source = Callable[[], Awaitable[EntryGroup | None]]
"""Searches the rows of one model. Returns None if the user may not list them."""


@dataclass
class SearchOutcome:
    query: str
    groups: list[EntryGroup] = field(default_factory=list)
    note: str = ""
    """Sentence for users about sources that were not searched."""

    @property
    def count(self) -> int:
        return sum(len(group.entries) for group in self.groups)

    @property
    def has_more(self) -> bool:
        """Whether further results exist, behind the link of a group."""
        return any(group.more_url for group in self.groups)

    def add(self, *groups: EntryGroup) -> None:
        self.groups += [group for group in groups if group.entries]

    async def add_rows(self, sources: Sequence[tuple[str, Source]]) -> None:
        """Search one source after another, and stop after `MAX_SECONDS`."""
        if not self.query:
            return
        deadline = monotonic() + MAX_SECONDS
        for index, (_name, search) in enumerate(sources):
            if index >= MAX_SOURCES or monotonic() > deadline:
                names = format_list([str(name) for name, _search in sources[index:]])
                self.note = gettext("Left out to answer quickly: %(names)s.", names=names)
                return
            if group := await search():
                self.add(group)


def matching_entries(title: str, entries: Iterable[Entry], query: str) -> EntryGroup:
    """Return the group of entries whose label contains all words of the query."""
    words = fold(query).split()
    labelled = [(entry, fold(gettext(entry.label))) for entry in entries]
    matches = [entry for entry, label in labelled if all(word in label for word in words)]
    return EntryGroup(gettext(title), matches)
