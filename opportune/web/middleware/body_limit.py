"""Limit for the size of request bodies."""

from collections.abc import Awaitable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.web.errors.problem import problem
from opportune.web.forms.uploads import EXTRA_BODY_BYTES_KEY, is_multipart, max_upload_bytes

MAX_BODY_BYTES = 2_500_000
"""Same default as Django's DATA_UPLOAD_MAX_MEMORY_SIZE."""

BODY_HEADERS = (b"content-length", b"transfer-encoding")
HTTP_1_VERSIONS = ("1.0", "1.1")
"""HTTP versions whose headers always announce a body."""


class BodyLimitMiddleware:
    """Responds 413 to bodies over the limit. It counts received bytes, because `Content-Length` may be wrong.

    A multipart body may have MAX_UPLOAD_BYTES more, if the route calls `allow_files`.
    """

    def __init__(self, app: ASGIApp, max_file_bytes: int) -> None:
        self.app = app
        self.max_file_bytes = max_file_bytes

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        max_upload_bytes.set(self.max_file_bytes)  # until the end of the request, whose task has its own context
        headers = dict(scope["headers"])
        content_length = headers.get(b"content-length", b"0")
        may_have_files = is_multipart(headers.get(b"content-type", b""))
        max_bytes = MAX_BODY_BYTES + (self.max_file_bytes if may_have_files else 0)
        if not content_length.isdigit() or len(content_length) > 18 or int(content_length) > max_bytes:
            return problem(Request(scope), 413)(scope, receive, send)
        has_body = not headers.keys().isdisjoint(BODY_HEADERS)
        if has_body or scope["http_version"] not in HTTP_1_VERSIONS:
            receive = _count_received(scope, receive)
        return self.app(scope, receive, send)


def _count_received(scope: Scope, receive: Receive) -> Receive:
    received = 0
    extra: list[int] = scope.setdefault(EXTRA_BODY_BYTES_KEY, [0])

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES + extra[0]:
            raise HTTPException(status_code=413)
        return message

    return receive_counted
