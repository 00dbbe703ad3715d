"""Token counts of an answer, by whatever names and in whatever objects an endpoint reports them."""

from collections.abc import Iterable
from typing import Any

from opportune.contrib.llm.providers.loose_json import count_in, objects_in, plain_key

COUNT_FIELDS = {
    "prompt_tokens": "inputtokencount tokensevaluated promptn prompttokencount promptevalcount inputtokens"
    " prompttokens",
    "completion_tokens": "outputtokencount generatedtokencount generationtokencount generatedtokens tokenspredicted"
    " predictedn candidatestokencount evalcount outputtokens completiontokens",
    "cached_tokens": "cachereadinputtokens promptcachehittokens cachedtokens",
    "reasoning_tokens": "reasoningtokens",
}
"""Names of the counts, in lower case and without underscores. The last one in an answer counts."""


def counts_in(usage: object) -> dict[str, Any]:
    """Return the token counts in the usage of an answer, also in objects for details."""
    parts = objects_in(usage)
    details = [item for part in parts for value in part.values() for item in objects_in(value)]
    reported = {plain_key(name): count_in(value) for item in (*details, *parts) for name, value in item.items()}
    named = ((name, reported.get(field)) for name, fields in COUNT_FIELDS.items() for field in fields.split())
    counts: dict[str, Any] = {name: count for name, count in named if count is not None}
    if "prompttokens" not in reported:  # Anthropic and llama.cpp count the cache apart
        cache = (reported.get(name) or 0 for name in ("cachereadinputtokens", "cachecreationinputtokens", "cachen"))
        counts |= {"prompt_tokens": counts["prompt_tokens"] + sum(cache)} if "prompt_tokens" in counts else {}
    # Google and xAI do not count the reasoning as a part of the answer.
    total = reported.get("totaltokens") or reported.get("totaltokencount") or 0
    without_prompt = total - counts.get("prompt_tokens", total)
    if without_prompt > counts.get("completion_tokens", 0) and counts.get("completion_tokens") != 0:
        counts["completion_tokens"] = without_prompt
    return counts


class TokenCounts(dict[str, Any]):
    """Token counts of an answer that is being read."""

    def add(self, parts: Iterable[object]) -> None:
        """Add the counts in parts of an event. A later zero does not replace a count."""
        objects = [item for part in parts if isinstance(part, dict | list) for item in objects_in(part)]
        if objects:
            self.update({name: count or self.get(name, count) for name, count in counts_in(objects).items()})
