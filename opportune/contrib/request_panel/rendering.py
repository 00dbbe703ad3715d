"""Recording of rendered templates and their time."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from jinja2 import Environment

from opportune.contrib.request_panel.records import MAX_ENTRIES, current_record, public_names
from opportune.web.rendering.environment import TemplateContext

TAB = "request_panel/tab.html"


class RecordedContext(TemplateContext):
    """Context of a template, recorded when rendering begins."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        record = current_record()
        if record and self.name and self.name != TAB and len(record.templates) < MAX_ENTRIES:
            record.templates[self.name, public_names(set(self.parent) - self.globals_keys)] += 1


@contextmanager
def recorded_templates(environment: Environment) -> Iterator[None]:
    """Record the templates that requests render until the block ends."""
    before, join = environment.context_class, environment.concat
    depth = 0

    def concat(parts: Iterable[str]) -> str:
        """Join the parts, which renders them. Macros and blocks inside call it again."""
        nonlocal depth
        started, depth = perf_counter(), depth + 1
        try:
            return join(parts)
        finally:
            depth -= 1
            record = current_record()
            if record and not depth:
                record.template_seconds += perf_counter() - started

    environment.context_class, environment.concat = RecordedContext, concat  # type: ignore[method-assign]
    try:
        yield
    finally:
        environment.context_class, environment.concat = before, join  # type: ignore[method-assign]
