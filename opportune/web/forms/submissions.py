"""Forms that are sent twice: a token in each rendered form, and where its first result is stored."""

import secrets
from contextvars import ContextVar
from typing import Protocol

from markupsafe import Markup
from starlette.requests import Request

FIELD_NAME = "form_token"
TOKEN_BYTES = 16
HIDDEN = Markup('<input type="hidden" name="{}" value="{}" autocomplete="off">')
REPEATABLE = "repeatable_form"

is_shared_page: ContextVar[bool] = ContextVar("is_shared_page", default=False)
"""Whether the page that is rendered goes into the cache: visitors who share a page must not share its tokens."""


class SubmissionStore(Protocol):
    """Results of submitted forms by key, for all workers."""

    async def claim(self, key: str) -> bool:
        """Whether this is the first submission. It has to be completed or released."""

    async def find(self, key: str) -> str | None:
        """The result of the first submission: empty while it is processed, None if it was released."""

    async def complete(self, key: str, result: str) -> None: ...

    async def release(self, key: str) -> None:
        """Let the same form be sent again: the first submission has changed nothing."""


def form_token() -> Markup:
    """A hidden field for a form that must not be processed twice: `{{ form_token() }}`."""
    if is_shared_page.get():
        return Markup()
    return HIDDEN.format(FIELD_NAME, secrets.token_urlsafe(TOKEN_BYTES))


def let_repeat(request: Request) -> None:
    """Process the same form again when it is sent again, although this response is a redirect."""
    request.scope.setdefault("state", {})[REPEATABLE] = True
