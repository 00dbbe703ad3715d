"""Changes of an answer that a page has not received: text, tool calls and reasoning."""

from bisect import bisect_left

from markupsafe import Markup, escape

from opportune.contrib.answers.engine.citations import cite
from opportune.contrib.answers.engine.live import Growth, LiveAnswer
from opportune.i18n import gettext
from opportune.web import MarkdownBlocks, hx_partial, templates

MAX_CLOSING_LENGTH = 16
"""Maximum length of the closing tags, such as `</p>`, that follow new text of a block."""


class PageText:
    """Text that a page has received, as finished blocks and an open block."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self._frozen_count: int | None = None
        self._open_block = ""

    async def next_changes(self, live: LiveAnswer) -> list[tuple[int, str]]:
        """Return the change of the open block, followed by new blocks."""
        if self._frozen_count is None:  # the text of another process's answer is loaded only now
            self._frozen_count = MarkdownBlocks.of(live.text[: self.offset]).frozen_count
        blocks, self.offset = await live.render_blocks()
        sources = live.answer.sources
        # str instead of Markup, whose slices are slow.
        new_blocks = [str(cite(block, sources)) for block in (*blocks.frozen[self._frozen_count :], blocks.open)]
        change = _difference(self._open_block, new_blocks[0])
        self._frozen_count = blocks.frozen_count
        self._open_block = new_blocks[-1]
        return [change, *((0, block) for block in new_blocks[1:])]


class PageDetails:
    """Tool calls and reasoning of a page, beside the text."""

    def __init__(self, element: str, live: LiveAnswer) -> None:
        self._element = element
        self._live = live
        self._has_reasoning = False
        self._is_labelled = False

    def next_partials(self, growth: Growth) -> Markup:
        """Return the elements that have changed."""
        partials = Markup()
        if growth.has_new_calls:
            template = templates.environment.get_template("answers/tools.html")
            html = template.render(row=self._live.answer, runs=self._live.tool_runs)
            partials += hx_partial(f"{self._element}-tools", Markup(html))  # noqa: S704 - HTML of a template
        if growth.reasoning:  # the first replaces a placeholder
            position = "beforeend" if self._has_reasoning else "innerHTML"
            partials += hx_partial(f"{self._element}-reasoning", escape(growth.reasoning), position)
            self._has_reasoning = True
        if self._has_reasoning and self._live.text and not self._is_labelled:
            partials += hx_partial(f"{self._element}-reasoning-label", escape(gettext("Reasoning")))
            self._is_labelled = True
        return partials


def _difference(before: str, after: str) -> tuple[int, str]:
    """Return the length of the common prefix in UTF-16 units, and the remainder of `after`."""
    # Binary search. Usually the prefix ends shortly before the closing tags.
    shorter = min(len(before), len(after))
    start = max(0, shorter - MAX_CLOSING_LENGTH)
    if not after.startswith(before[:start]):
        start = 0
    ends = range(1, shorter + 1)
    length = bisect_left(ends, True, start, key=lambda end: before[start:end] != after[start:end])
    utf16_length = length if after.isascii() else len(after[:length].encode("utf-16-le")) // 2
    return utf16_length, after[length:]
