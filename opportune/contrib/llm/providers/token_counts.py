"""Token counts of an answer, by whatever names and in whatever objects an endpoint reports them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from opportune.contrib.llm.providers.loose_json import count_in, objects_in, plain_key

COUNT_FIELDS = {
    "prompt_tokens": "inputtokencount tokensevaluated promptn prompttokencount promptevalcount inputtexttokens"
    " inputtokens prompttokens",
    "completion_tokens": "outputtokencount generatedtokencount generationtokencount generatedtokens tokenspredicted"
    " predictedn candidatestokencount evalcount outputtokens completiontokens",
    "cached_tokens": "cachereadinputtokens promptcachehittokens cachedtokens",
    "reasoning_tokens": "reasoningtokens",
}
"""Names of the counts, in lower case and without underscores. The last one in an answer counts."""
CACHE_FIELDS = ("cachereadinputtokens", "cachecreationinputtokens", "cachen")
"""Names of prompt tokens that Anthropic and llama.cpp count apart from the others."""
TOTAL_FIELDS = ("totaltokens", "totaltokencount")
COUNTED = frozenset({"usage", *CACHE_FIELDS, *TOTAL_FIELDS, *" ".join(COUNT_FIELDS.values()).split()})
COUNTING = re.compile("usage|meta|metric|timing|details|stats|tokens|units|groq")
"""Plain names of objects with counts."""
UNCOUNTED = frozenset({"content", "input", "arguments", "args", "parameters", "actioninput", "output", "toolcalls"})
"""Plain names of texts, and of the arguments and results of calls, in which nothing is a count."""
MAX_DEPTH = 4
"""Levels of objects around a count."""


def counts_in(usage: object, *, is_event: bool = False) -> dict[str, Any]:
    """Return the token counts in the usage of an answer, or in an event."""
    reported = dict(_reported(usage, is_usage=not is_event))
    named = ((name, reported.get(field)) for name, fields in COUNT_FIELDS.items() for field in fields.split())
    zeros_first = sorted(named, key=lambda item: item[1] != 0)  # a zero does not replace a count of another name
    counts: dict[str, Any] = {name: count for name, count in zeros_first if count is not None}
    if "prompt_tokens" in counts and "prompttokens" not in reported:
        counts["prompt_tokens"] += sum(reported.get(name, 0) for name in CACHE_FIELDS)
    # Google and xAI do not count the reasoning as a part of the answer.
    total = max(reported.get(name, 0) for name in TOTAL_FIELDS)
    without_prompt = total - counts.get("prompt_tokens", total)
    if without_prompt > counts.get("completion_tokens", 0) and counts.get("completion_tokens") != 0:
        counts["completion_tokens"] = without_prompt
    return counts


def _reported(value: object, *, is_usage: bool, depth: int = MAX_DEPTH) -> Iterator[tuple[str, int]]:
    """Yield the plain names of the counts in objects with counts, after those of the objects in them."""
    for part in objects_in(value) if depth else ():
        fields = [(plain_key(name), item) for name, item in part.items()]
        for name, item in fields:
            if name not in UNCOUNTED and (name == "usage" or isinstance(item, dict | list)):
                is_inner_usage = is_usage or COUNTING.search(name) is not None
                yield from _reported(item, is_usage=is_inner_usage, depth=depth - 1)
        for name, item in fields if is_usage or depth == MAX_DEPTH else ():
            if name in COUNTED and (count := count_in(item)) is not None:
                yield name, count


class TokenCounts(dict[str, Any]):
    """Token counts of an answer that is being read."""

    def add(self, event: Mapping[str, Any]) -> None:
        """Add the counts in the fields of an event. A later zero does not replace a count."""
        if any(
            plain_key(name) in COUNTED or (value and isinstance(value, dict | list)) for name, value in event.items()
        ):
            counts = counts_in(event, is_event=True)
            self.update({name: count or self.get(name, count) for name, count in counts.items()})
