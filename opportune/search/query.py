"""What somebody typed, understood: any text is a question, and none is an error.

Words are looked for together, "in quotes" as they stand, `-without` and `this or that` work as elsewhere on the web;
the last word may be unfinished.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from opportune.search.words import WORD, folded, key, words

CHUNK = re.compile(r'(?P<minus>-(?=[\w"]))?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))')
DOTTED = re.compile(r"\w+(?:\.\w+)+")
UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
MAX_QUERY_LENGTH = 200
"""Characters of a query that are looked at; what follows is cut off."""
MAX_QUERY_WORDS = 12
"""Words of a query that are looked for."""

Phrase = tuple[str, ...]


@dataclass
class Choice:
    """What stands between two `or`."""

    wanted: list[Phrase] = field(default_factory=list)
    unwanted: list[Phrase] = field(default_factory=list)

    def add(self, found: list[str], *, together: bool, minus: bool) -> None:
        phrases = [tuple(found)] if together else [(word,) for word in found]
        (self.unwanted if minus else self.wanted).extend(phrase for phrase in phrases if phrase)


@dataclass(frozen=True)
class Query:
    text: str
    """As it was typed, without what no database takes."""
    symbol: str
    """What a name would have to begin with: `os path jo` is `os.path.jo`."""
    choices: tuple[Choice, ...]
    last: str
    """The word that may be unfinished: a part of no choice; nothing if the last thing is quoted or unwanted."""

    @classmethod
    def parse(cls, typed: str, fold: Callable[[str], str] = folded) -> Self:
        """Understand a text; `fold` makes its words comparable with those of the index."""
        text = UNSTORABLE.sub("", typed[: 4 * MAX_QUERY_LENGTH]).strip()[:MAX_QUERY_LENGTH]
        choices, last, left = [Choice()], "", MAX_QUERY_WORDS
        for chunk in CHUNK.finditer(text):
            quoted, minus = chunk["quoted"] is not None, chunk["minus"] is not None
            if chunk["plain"] in ("or", "OR") and choices[-1].wanted and chunk.end() < len(text):
                choices.append(Choice())
                continue
            # One letter may stand for many, and PostgreSQL refuses a word of more than 2046 bytes.
            given = fold(chunk["quoted"] or chunk["plain"] or "")
            found = [word[:MAX_QUERY_LENGTH] for word in WORD.findall(given)[:left]]
            left -= len(found)
            if found and not quoted and not minus and chunk.end() == len(text):
                last = found.pop()
            choices[-1].add(found, together=quoted, minus=minus)
        return cls(text, ".".join(key(text).split()), tuple(choices), last)

    @property
    def marks(self) -> list[str]:
        """The words to highlight, the longest first."""
        found = {word for choice in self.choices for phrase in choice.wanted for word in phrase}
        return sorted(found | ({self.last} if self.last else set()), key=len, reverse=True)

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to look for."""
        return not self.marks

    @property
    def is_exact(self) -> bool:
        """Whether it says which words it means: by quotes, `-without` or `or`."""
        return '"' in self.text or len(self.choices) > 1 or any(choice.unwanted for choice in self.choices)

    @property
    def is_dotted(self) -> bool:
        """Whether it is one name with a dot inside."""
        return bool(DOTTED.fullmatch(self.text))

    @property
    def name_words(self) -> set[str]:
        """The words that stand in dotted names."""
        return {word for name in DOTTED.findall(self.text) for word in words(name)}

    def replaced(self, others: Mapping[str, str]) -> "Query":
        """The query with other words in the place of some."""
        return Query.parse(WORD.sub(lambda match: others.get(folded(match[0]), match[0]), self.text))

    @property
    def is_begun(self) -> bool:
        """Whether enough of the last word is there to look for all that begin so: two letters say too little."""
        return len(self.last) > 2

    @property
    def needs_last(self) -> bool:
        """Whether texts must contain the last word: not if two letters of it follow others, for it will go on."""
        return self.is_begun or self.is_dotted or not self.choices[-1].wanted

    @property
    def as_fts5(self) -> str:
        """The query in the language of SQLite's FTS5; nothing if nothing is wanted."""
        last = f'"{self.last}" *' if self.is_begun else f'"{self.last}"'
        return " OR ".join(filter(None, (_fts5(wanted, not_wanted) for wanted, not_wanted in self._parts(last))))

    @property
    def as_tsquery(self) -> str:
        """The query in the language of PostgreSQL's `tsquery`; nothing if nothing is wanted."""
        last = f"'{self.last}':*" if self.is_begun else f"'{self.last}'"
        return " | ".join(filter(None, (_tsquery(wanted, not_wanted) for wanted, not_wanted in self._parts(last))))

    def _parts(self, last: str) -> list[tuple[list[Phrase | str], list[Phrase]]]:
        """What each choice wants, to the last of which the unfinished word belongs, and what it does not want."""
        parts: list[tuple[list[Phrase | str], list[Phrase]]]
        parts = [([*choice.wanted], choice.unwanted) for choice in self.choices]
        if self.last and self.needs_last:
            parts[-1][0].append(last)
        return parts


def _fts5(wanted: list[Phrase | str], unwanted: list[Phrase]) -> str:
    if not wanted:
        return ""
    return f"({' AND '.join(map(_quoted, wanted))}{''.join(f' NOT {_quoted(phrase)}' for phrase in unwanted)})"


def _quoted(phrase: Phrase | str) -> str:
    return phrase if isinstance(phrase, str) else f'"{" ".join(phrase)}"'


def _tsquery(wanted: list[Phrase | str], unwanted: list[Phrase]) -> str:
    if not wanted:
        return ""
    return f"({' & '.join([*map(_followed, wanted), *(f'!{_followed(phrase)}' for phrase in unwanted)])})"


def _followed(phrase: Phrase | str) -> str:
    return phrase if isinstance(phrase, str) else "(" + " <-> ".join(f"'{word}'" for word in phrase) + ")"
