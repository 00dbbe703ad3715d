"""Streaming of objects into a form, such as the structured answer of a language model."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi import Request, Response
from fastapi.sse import format_sse_event

from opportune.web.forms.forms import Form
from opportune.web.rendering.templates import is_htmx, templates
from opportune.web.streaming import HEADERS, ClosingResponse, EventStream, collected_errors, paced_items


def stream_form(
    request: Request,
    rows: AsyncGenerator[Any, None],
    form: Form[Any],
    page: str,
    context: Mapping[str, Any] | None = None,
) -> Response:
    """Fill a form again with each row, until the last one.

    A request of htmx gets the block `form` of the page as server-sent events. Other requests get the page with the last
    row. An error is shown in the form, whose fields keep their values.

    Args:
        request: The current request.
        rows: Objects or mappings, such as those of `llm.stream_parse`. The generator is closed when the visitor leaves.
        form: The form, which is `form` in the template.
        page: Template of the page.
        context: Context of the template.
    """
    context, updates = {**(context or {}), "form": form}, _fill(request, rows, form)
    if is_htmx(request):
        return EventStream(_events(request, updates, page, context))
    return ClosingResponse(_page(request, updates, page, context), headers=HEADERS, media_type="text/html")


async def _fill(request: Request, rows: AsyncGenerator[Any, None], form: Form[Any]) -> AsyncGenerator[None, None]:
    """Fill the form, and yield after each update or heartbeat, and at the end."""
    errors = list[str]()
    with collected_errors(errors):
        async with aclosing(paced_items(request, rows)) as batches:
            async for batch in batches:
                if batch:
                    form.fill_from(batch[-1])
                yield
    for error in errors:
        form.refuse(error, status=503)
    yield


async def _events(
    request: Request, updates: AsyncGenerator[None, None], page: str, context: Mapping[str, Any]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(updates):
        async for _ in updates:
            yield format_sse_event(data_str=templates.render_block_to_string(request, page, "form", context))
    yield format_sse_event(data_str="done", event="done")


async def _page(
    request: Request, updates: AsyncGenerator[None, None], page: str, context: Mapping[str, Any]
) -> AsyncGenerator[str, None]:
    """Send line breaks before the page, to detect a visitor who leaves."""
    async with aclosing(updates):
        async for _ in updates:
            yield "\n"
    yield templates.render_to_string(request, page, context)
