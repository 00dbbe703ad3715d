"""Token counts of an answer, by whatever names and in whatever objects an endpoint reports them."""

from collections.abc import Iterator
from typing import Any

from opportune.contrib.llm.providers.loose_json import count_in, plain_key

COUNT_FIELDS = {
    "prompt_tokens": "inputtokencount tokensevaluated promptn prompttokencount promptevalcount inputtokens"
    " prompttokens",
    "completion_tokens": "outputtokencount generatedtokencount generationtokencount generatedtokens tokenspredicted"
    " predictedn candidatestokencount evalcount outputtokens completiontokens",
    "cached_tokens": "cachereadinputtokens promptcachehittokens cachedtokens",
    "reasoning_tokens": "reasoningtokens",
}
"""Names of the counts, in lower case and without underscores. The last one in an answer counts."""
CACHE_FIELDS = ("cachereadinputtokens", "cachecreationinputtokens", "cachen")
"""Names of prompt tokens that Anthropic and llama.cpp count apart from the others."""
TOTAL_FIELDS = ("totaltokens", "totaltokencount")
COUNTED = frozenset({*CACHE_FIELDS, *TOTAL_FIELDS, *" ".join(COUNT_FIELDS.values()).split()})
MAX_DEPTH = 4
"""Levels of objects around a count. Arguments of calls are deeper."""


def counts_in(usage: object) -> dict[str, Any]:
    """Return the token counts in the usage of an answer, or in an event."""
    reported = dict(_reported(usage))
    if not reported:
        return {}
    named = ((name, reported.get(field)) for name, fields in COUNT_FIELDS.items() for field in fields.split())
    counts: dict[str, Any] = {name: count for name, count in named if count is not None}
    if "prompt_tokens" in counts and "prompttokens" not in reported:
        counts["prompt_tokens"] += sum(reported.get(name, 0) for name in CACHE_FIELDS)
    # Google and xAI do not count the reasoning as a part of the answer.
    total = max(reported.get(name, 0) for name in TOTAL_FIELDS)
    without_prompt = total - counts.get("prompt_tokens", total)
    if without_prompt > counts.get("completion_tokens", 0) and counts.get("completion_tokens") != 0:
        counts["completion_tokens"] = without_prompt
    return counts


def _reported(value: object, depth: int = MAX_DEPTH) -> Iterator[tuple[str, int]]:
    """Yield the plain names of the numbers in an object, after those of the objects in it."""
    if isinstance(value, list):
        for item in value:
            yield from _reported(item, depth)
    if not isinstance(value, dict) or not depth:
        return
    for item in value.values():
        if isinstance(item, dict | list):
            yield from _reported(item, depth - 1)
    for name, item in value.items():
        plain = plain_key(name)
        if plain in COUNTED and (count := count_in(item)) is not None:
            yield plain, count


class TokenCounts(dict[str, Any]):
    """Token counts of an answer that is being read."""

    def add(self, usage: object) -> None:
        """Add the counts in a part of an event. A later zero does not replace a count."""
        self.update({name: count or self.get(name, count) for name, count in counts_in(usage).items()})
