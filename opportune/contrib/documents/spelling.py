"""Corrected spelling of queries, with the words of an index."""

from collections.abc import Sequence

from opportune.contrib.documents.document import Fields
from opportune.contrib.documents.engine import TEXT_MATCH, Engine
from opportune.contrib.documents.similar_words import MIN_MISSPELT_LETTERS, closest_word
from opportune.search.query import Query


def seems_misspelt(query: Query, rows: Sequence[Fields]) -> bool:
    """Return whether there are no results, or a dotted name occurs only in texts."""
    return not rows or (query.is_dotted and rows[0]["rank"] >= TEXT_MATCH)


async def correct_query(engine: Engine, query: Query) -> Query | None:
    """Replace unknown words by the most similar ones of the index. None if there are none."""
    words, name_words = query.highlighted_words, query.name_words
    corrections = {word: await _correct_word(engine, word, in_name=word in name_words) for word in words}
    corrected = query.replaced({word: correction for word, correction in corrections.items() if correction})
    return corrected if corrected.text != query.text else None


async def _correct_word(engine: Engine, word: str, *, in_name: bool) -> str:
    if len(word) < MIN_MISSPELT_LETTERS or await engine.has_word(word, in_name=in_name):
        return ""
    terms = await engine.find_similar_terms(word)
    return closest_word(word, [term for term in terms if term.is_name or not in_name])
