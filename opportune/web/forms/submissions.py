"""Tokens against double submission, and the store for results of forms."""

import secrets
from contextvars import ContextVar
from typing import Protocol

from markupsafe import Markup
from starlette.requests import Request

from opportune.web.rendering.cached_part import exclude_from_cache

FIELD_NAME = "form_token"
TOKEN_BYTES = 16
HIDDEN_FIELD = Markup('<input type="hidden" name="{}" value="{}" autocomplete="off">')
REPEATABLE = "repeatable_form"

is_shared_page: ContextVar[bool] = ContextVar("is_shared_page", default=False)
"""Whether the rendered page is cached. Visitors who share a page must not share its tokens."""


class SubmissionStore(Protocol):
    """Results of submitted forms, shared by all workers."""

    async def claim(self, key: str) -> bool:
        """Return whether this is the first submission, which must be completed or released."""

    async def find(self, key: str) -> str | None:
        """Return the result of the first submission, empty while it is processed, or None if it was released."""

    async def complete(self, key: str, result: str) -> None: ...

    async def release(self, key: str) -> None:
        """Allow the same form again, because the first submission changed nothing."""


def form_token() -> Markup:
    """Return a hidden field that prevents double submission: `{{ form_token() }}`."""
    exclude_from_cache("form_token()")
    if is_shared_page.get():
        return Markup()
    return HIDDEN_FIELD.format(FIELD_NAME, secrets.token_urlsafe(TOKEN_BYTES))


def let_repeat(request: Request) -> None:
    """Process a repeated form again, although this response is a redirect."""
    request.scope.setdefault("state", {})[REPEATABLE] = True
