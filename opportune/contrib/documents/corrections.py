"""Corrections of misspelt queries by the words of an index."""

from opportune.contrib.documents.engine import Engine
from opportune.contrib.documents.spelling import MIN_MISSPELT_LETTERS, closest_word
from opportune.search.folding import WORD, fold
from opportune.search.query import Query


async def correct_spelling(query: Query, engine: Engine) -> Query | None:
    """Replace unknown words by the most similar ones of the index. None if there are none."""
    corrections = {}
    for word in query.highlighted_words:
        if corrected_word := await _correct_word(word, engine, in_name=word in query.words_of_names):
            corrections[word] = corrected_word
    corrected = WORD.sub(lambda match: corrections.get(fold(match[0]), match[0]), query.text)
    return Query.parse(corrected) if corrected != query.text else None


async def _correct_word(word: str, engine: Engine, *, in_name: bool) -> str | None:
    """Return the most similar word of the index; None if there is none, or the word is correct."""
    if len(word) < MIN_MISSPELT_LETTERS or await engine.has_word(word, in_name=in_name):
        return None
    terms = await engine.find_similar_terms(word)
    return closest_word(word, [term for term in terms if term.is_name or not in_name])
