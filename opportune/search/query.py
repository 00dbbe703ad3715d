"""Search queries, and queries for questions in whole sentences. Any text is valid.

All words must occur. `"quoted words"`, `-without` and `this or that` work as in web search engines. The last word may
be incomplete. Index and query normalize words in the same way.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, starmap
from typing import Self

from opportune.schemas.text import UNSTORABLE

WORD = re.compile(r"[^\W_]+")
CASE_CHANGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
SPACES = re.compile(r"\s+")
ACCENTS = re.compile("[\u0300-\u036f]+")
CHUNK = re.compile(r'(?P<minus>-(?=[\w"]))?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))')
"""Word or quoted words, with `-` if texts must not contain them."""
DOTTED = re.compile(r"\w+(?:\.\w+)+")
MAX_QUERY_LENGTH = 200
"""Maximum length of a query in characters. Longer queries are cut."""
MAX_QUERY_WORDS = 12
"""Maximum number of words of a query."""
Phrase = tuple[str, ...]
NAME = re.compile(r"\w+(?:\.\w+)+|\w*_\w+|(?<=`)[^`]+(?=`)")
"""Names of code: `os.path.join`, max_length, anything between backticks."""
MAX_KEY_WORDS = 8
PASSAGE_LENGTH = 1_200
"""Default length of a passage in characters."""


def fold(text: str) -> str:
    """Return the text in lower case without accents."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def fold_like_postgresql(text: str) -> str:
    """Fold like the SQL expression in `opportune.search.postgresql`."""
    return text.lower() if text.isascii() else ACCENTS.sub("", unicodedata.normalize("NFKD", text)).lower()


def clean_query(text: str) -> str:
    """Return the query without characters that databases reject, cut to `MAX_QUERY_LENGTH` characters."""
    return UNSTORABLE.sub("", text[: 4 * MAX_QUERY_LENGTH]).strip()[:MAX_QUERY_LENGTH]


def words(text: str) -> list[str]:
    return WORD.findall(fold(text))


def name_words(name: str) -> list[str]:
    """Return the words of a name and their parts: `collections.OrderedDict` has ordereddict, ordered and dict."""
    split_words = [CASE_CHANGE.split(word) for word in WORD.findall(name)]
    parts = chain.from_iterable(split_word for split_word in split_words if len(split_word) > 1)
    return [*words(name), *map(fold, parts)]


def name_key(text: str) -> str:
    """Normalize a name for exact comparison: `OS.Path ` becomes `os.path`."""
    return SPACES.sub(" ", fold(text)).strip()


def name_suffix_keys(name: str, *, dotted: bool) -> Iterator[tuple[str, int]]:
    """Yield the keys of a name and, if `dotted`, of its suffixes, with the number of removed parts.

    `os.path.join` has ("os.path.join", 0), ("path.join", 1) and ("join", 2).
    """
    suffix = name_key(name)
    depth = 0
    yield suffix, depth
    while dotted and (suffix := suffix.partition(".")[2]):
        depth += 1
        yield suffix, depth


@dataclass
class Choice:
    """Alternative of a query: the phrases between two `or`."""

    required: list[Phrase] = field(default_factory=list)
    excluded: list[Phrase] = field(default_factory=list)

    def add(self, words: list[str], *, is_phrase: bool, is_excluded: bool) -> None:
        if not words:
            return
        phrases = [tuple(words)] if is_phrase else [(word,) for word in words]
        phrases_of_choice = self.excluded if is_excluded else self.required
        phrases_of_choice += phrases


@dataclass(frozen=True)
class Query:
    text: str
    """The query without characters that databases reject."""
    symbol: str
    """The query as prefix of a dotted name: `os path jo` becomes `os.path.jo`."""
    choices: tuple[Choice, ...]
    last_word: str
    """The last word, which may be incomplete; not part of a choice. Empty if it is quoted or excluded."""

    @classmethod
    def parse(cls, query_text: str, fold: Callable[[str], str] = fold) -> Self:
        """Parse a query. `fold` normalizes its words like those of the index."""
        text = clean_query(query_text)
        choices = [Choice()]
        last_word = ""
        remaining_words = MAX_QUERY_WORDS
        for chunk in CHUNK.finditer(text):
            is_quoted = chunk["quoted"] is not None
            is_excluded = chunk["minus"] is not None
            if chunk["plain"] in ("or", "OR") and choices[-1].required and chunk.end() < len(text):
                choices.append(Choice())
                continue
            # Folding may lengthen a word, and PostgreSQL rejects words of more than 2046 bytes.
            folded_chunk = fold(chunk["quoted"] or chunk["plain"] or "")
            chunk_words = [word[:MAX_QUERY_LENGTH] for word in WORD.findall(folded_chunk)[:remaining_words]]
            remaining_words -= len(chunk_words)
            if chunk_words and not is_quoted and not is_excluded and chunk.end() == len(text):
                last_word = chunk_words.pop()  # a prefix, because the visitor may still be typing
            choices[-1].add(chunk_words, is_phrase=is_quoted, is_excluded=is_excluded)
        return cls(text, ".".join(name_key(text).split()), tuple(choices), last_word)

    @property
    def highlighted_words(self) -> list[str]:
        """Words to highlight, the longest first."""
        required = {self.last_word} if self.last_word else set()
        for choice in self.choices:
            required.update(chain.from_iterable(choice.required))
        return sorted(required, key=len, reverse=True)

    @property
    def is_blank(self) -> bool:
        """Whether there are no words to search for."""
        return not self.highlighted_words

    @property
    def is_exact(self) -> bool:
        """Whether the query uses operators: quotes, `-without` or `or`."""
        return '"' in self.text or len(self.choices) > 1 or any(choice.excluded for choice in self.choices)

    @property
    def is_dotted(self) -> bool:
        """Whether the query is one dotted name."""
        return bool(DOTTED.fullmatch(self.text))

    @property
    def name_words(self) -> set[str]:
        """Words of dotted names."""
        return {word for name in DOTTED.findall(self.text) for word in words(name)}

    def replaced(self, replacements: Mapping[str, str]) -> "Query":
        """Return the query with some words replaced."""
        return Query.parse(WORD.sub(lambda match: replacements.get(fold(match[0]), match[0]), self.text))

    @property
    def is_prefix(self) -> bool:
        """Whether the last word is long enough for a prefix search: three letters or more."""
        return len(self.last_word) > 2

    @property
    def requires_last_word(self) -> bool:
        """Whether texts must contain the last word. One or two letters after other words are ignored as incomplete."""
        return self.is_prefix or self.is_dotted or not self.choices[-1].required

    @property
    def as_fts5(self) -> str:
        """Query in the syntax of SQLite's FTS5; empty if no word is required."""
        last_term = f'"{self.last_word}" *' if self.is_prefix else f'"{self.last_word}"'
        return " OR ".join(filter(None, starmap(_fts5, self._parts(last_term))))

    @property
    def as_tsquery(self) -> str:
        """Query in the syntax of PostgreSQL's `tsquery`; empty if no word is required."""
        last_term = f"'{self.last_word}':*" if self.is_prefix else f"'{self.last_word}'"
        return " | ".join(filter(None, starmap(_tsquery, self._parts(last_term))))

    def _parts(self, last_term: str) -> list[tuple[list[Phrase | str], list[Phrase]]]:
        """Return required and excluded phrases of each choice. The last one requires `last_term`, the last word."""
        parts: list[tuple[list[Phrase | str], list[Phrase]]]
        parts = [([*choice.required], choice.excluded) for choice in self.choices]
        if self.last_word and self.requires_last_word:
            parts[-1][0].append(last_term)
        return parts


def _fts5(required: list[Phrase | str], excluded: list[Phrase]) -> str:
    if not required:
        return ""
    terms = " AND ".join(map(_quote, required))
    exclusions = "".join(f" NOT {_quote(phrase)}" for phrase in excluded)
    return f"({terms}{exclusions})"


def _quote(phrase: Phrase | str) -> str:
    return phrase if isinstance(phrase, str) else f'"{" ".join(phrase)}"'


def _tsquery(required: list[Phrase | str], excluded: list[Phrase]) -> str:
    if not required:
        return ""
    exclusions = [f"!{_tsquery_phrase(phrase)}" for phrase in excluded]
    return f"({' & '.join([*map(_tsquery_phrase, required), *exclusions])})"


def _tsquery_phrase(phrase: Phrase | str) -> str:
    if isinstance(phrase, str):
        return phrase
    words_in_order = " <-> ".join(f"'{word}'" for word in phrase)
    return f"({words_in_order})"


COMMON_WORDS = frozenset(
    words(
        "a about all also am an and any are as at be because been but by can could did do does doing done explain for "
        "from get give had has have hello help her hers hey hi him his how i if in into is it its just know let like "
        "make may me might mine more most much must my need no not of on one only or our out please same say shall "
        "she should show so some such tell than thank thanks that the their them then there these they this those to "
        "too up us use used using very want was way we were what when where which while who whom whose why will with "
        "work works would yes you your"
    )
)
"""English words without information about the subject of a question."""


def key_words(question: str) -> list[str]:
    """Return the folded words that describe the subject of a question: names, then longer words first."""
    named = [word for name in NAME.findall(question) for word in words(name)]
    plain = sorted((word for word in words(question) if len(word) > 1 and word not in COMMON_WORDS), key=len)
    return list(dict.fromkeys([*named, *reversed(plain)]))[:MAX_KEY_WORDS]


def queries_for(question: str) -> Iterator[str]:
    """Yield queries for a question, the most specific first: names, all key words, any key word."""
    yield from dict.fromkeys(NAME.findall(question))
    if keys := key_words(question):
        yield " ".join(keys)
        yield " or ".join(f'"{word}"' for word in keys)


def passage(text: str, question: str, length: int = PASSAGE_LENGTH) -> str:
    """Return the passage of a text with the most key words of a question.

    Args:
        text: Plain text.
        question: Question or query.
        length: Maximum number of characters.
    """
    if len(text) <= length:
        return text
    keys = key_words(question)
    lower = fold(text)
    starts = [0, *(match.end() for match in re.finditer(r"\n\s*\n|(?<=[.!?])\s", text))]

    def count_words_from(start: int) -> tuple[int, int]:
        candidate = lower[start : start + length]
        counts = [candidate.count(word) for word in keys]
        return len(counts) - counts.count(0), sum(counts)

    start = max(starts, key=lambda start: (*count_words_from(start), start))
    part = text[start : start + length]
    without_cut_word = part.rpartition(" ")[0]
    beginning = "… " if start else ""
    return f"{beginning}{without_cut_word or part} …"
