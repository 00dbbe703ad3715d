"""Search queries. Any text is valid.

All words must occur. `"quoted words"`, `-without` and `this or that` work as in web search engines. The last word may
be incomplete. Index and query normalize words in the same way.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, Self

from opportune.schemas.text import UNSTORABLE
from opportune.search.folding import WORD, fold, name_key, words

MAX_QUERY_LENGTH = 200
"""Maximum length of a query in characters. Longer queries are cut."""
MAX_QUERY_WORDS = 12
CHUNK = re.compile(r'(?P<minus>-(?=[\w"]))?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))')
"""Word or quoted words, with `-` if texts must not contain them."""
DOTTED = re.compile(r"\w+(?:\.\w+)+")
Phrase = tuple[str, ...]


def clean_query(text: str) -> str:
    """Return the query without characters that databases reject, cut to `MAX_QUERY_LENGTH` characters."""
    return UNSTORABLE.sub("", text[: 4 * MAX_QUERY_LENGTH]).strip()[:MAX_QUERY_LENGTH]


@dataclass
class Choice:
    """Alternative of a query: the phrases between two `or`."""

    required: list[Phrase] = field(default_factory=list)
    excluded: list[Phrase] = field(default_factory=list)


class Query(NamedTuple):
    text: str
    """The query without characters that databases reject."""
    symbol: str
    """The query as prefix of a dotted name: `os path jo` becomes `os.path.jo`."""
    choices: tuple[Choice, ...]
    last_word: str
    """The last word, which may be incomplete; not part of a choice. Empty if it is quoted or excluded."""

    @classmethod
    def parse(cls, query_text: str, normalize: Callable[[str], str] = fold) -> Self:
        """Parse a query. `normalize` folds its words as in the index."""
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
            folded_chunk = normalize(chunk["quoted"] or chunk["plain"] or "")
            chunk_words = WORD.findall(folded_chunk)[:remaining_words]
            remaining_words -= len(chunk_words)
            if chunk_words and not is_quoted and not is_excluded and chunk.end() == len(text):
                last_word = chunk_words.pop()  # a prefix, because the visitor may still be typing
            phrases = [tuple(chunk_words)] if is_quoted else [(word,) for word in chunk_words]
            phrases_of_choice = choices[-1].excluded if is_excluded else choices[-1].required
            phrases_of_choice += filter(None, phrases)
        return cls(text, ".".join(name_key(text).split()), tuple(choices), last_word)

    @property
    def highlighted_words(self) -> list[str]:
        """Words to highlight, the longest first."""
        phrases = chain.from_iterable(choice.required for choice in self.choices)
        return sorted({*chain.from_iterable(phrases), self.last_word} - {""}, key=len, reverse=True)

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
    def words_of_names(self) -> set[str]:
        """Words of dotted names."""
        return {word for name in DOTTED.findall(self.text) for word in words(name)}

    @property
    def is_prefix(self) -> bool:
        """Whether the last word is long enough for a prefix search: three letters or more."""
        return len(self.last_word) > 2

    @property
    def requires_last_word(self) -> bool:
        """Whether texts must contain the last word. One or two letters after other words are ignored as incomplete."""
        is_incomplete = self.last_word.isalpha() and not (self.is_prefix or self.is_dotted)
        return self.last_word != "" and not (is_incomplete and self.choices[-1].required)
