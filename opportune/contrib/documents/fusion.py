"""Hits by words and by meaning, merged into one list."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from opportune.contrib.documents.document import MAX_RANKED_HITS, Fields
from opportune.contrib.documents.engine import TEXT_MATCH
from opportune.search.vectors import fuse_rankings

MAX_FUSED = 100
"""Number of hits by words that are merged with hits by meaning."""

Rows = Sequence[Fields]


async def fused_page(
    find_hits: Callable[[int, int], Awaitable[Rows]],
    load: Callable[[Sequence[str]], Awaitable[Rows]],
    similar: Mapping[str, float],
    *,
    limit: int,
    page: int,
) -> Rows:
    """Return a page of the merged hits, and after them of the other hits by words.

    Args:
        find_hits: Returns so many hits by words, from an offset in their ranking.
        load: Returns the existing documents with these slugs, in the same order.
        similar: Slugs and similarities of the hits by meaning, the most similar first.
        limit: Results per page.
        page: Page number from 1.
    """
    word_hits = await find_hits(MAX_FUSED, 0)
    word_slugs = {row["slug"] for row in word_hits}
    only_similar = await load([slug for slug in similar if slug not in word_slugs])
    fused = _fuse(word_hits, only_similar, similar)
    start = (page - 1) * limit
    rows = fused[start : start + limit]
    words_total = min(word_hits[0]["total"], MAX_RANKED_HITS) if word_hits else 0
    if len(rows) < limit and words_total > len(word_hits):
        # In the ranking by words, the hits after the merged ones do not count the documents found only by meaning.
        offset = max(start, len(fused)) - len(only_similar)
        rows += await find_hits(limit - len(rows), offset)
    total = words_total + len(only_similar)
    return [{**row, "total": total, "similarity": similar.get(row["slug"])} for row in rows]


def _fuse(word_hits: Rows, only_similar: Rows, similar: Iterable[str]) -> list[Fields]:
    """Merge hits: matches of names first, then by reciprocal rank fusion of words and meaning."""
    names = [row for row in word_hits if row["rank"] < TEXT_MATCH]
    text_matches = word_hits[len(names) :]
    rows = {row["slug"]: row for row in [*text_matches, *only_similar]}
    by_words = [row["slug"] for row in text_matches]
    by_meaning = [slug for slug in similar if slug in rows]
    return [*names, *(rows[slug] for slug in fuse_rankings([by_words, by_meaning]))]
