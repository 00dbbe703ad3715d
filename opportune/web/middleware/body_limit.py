"""Refuses bodies that are too large."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.config.site_settings import DEFAULT_MAX_UPLOAD_BYTES
from opportune.web.errors.handlers import problem
from opportune.web.forms.uploads import MORE_BODY_KEY, has_parts, max_upload_bytes

MAX_BODY_BYTES = 2_500_000
"""As Django's DATA_UPLOAD_MAX_MEMORY_SIZE."""

HTTP_1_VERSIONS = ("1.0", "1.1")
"""Versions of HTTP that announce a body in the headers. In the others it may just come."""


class BodyLimitMiddleware:
    """Answers 413 to bodies over the limit, counted as they arrive: their announced length may be missing or wrong.

    A multipart body may announce a file of MAX_UPLOAD_BYTES more. How much of it is read is up to the route
    (`allow_files`).
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES, max_file_bytes: int = DEFAULT_MAX_UPLOAD_BYTES
    ) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_file_bytes = max_file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.max_file_bytes == DEFAULT_MAX_UPLOAD_BYTES:
            await self._limited(scope, receive, send)
            return
        token = max_upload_bytes.set(self.max_file_bytes)
        try:
            await self._limited(scope, receive, send)
        finally:
            max_upload_bytes.reset(token)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced, comes, max_bytes = b"0", False, self.max_bytes
        for name, value in scope["headers"]:
            if name == b"content-length":
                announced, comes = value, True
            elif name == b"transfer-encoding":
                comes = True
            elif name == b"content-type" and has_parts(value):
                max_bytes = self.max_bytes + self.max_file_bytes
        if not announced.isdigit() or len(announced) > 18 or int(announced) > max_bytes:
            await problem(Request(scope), 413)(scope, receive, send)
            return
        if comes or scope["http_version"] not in HTTP_1_VERSIONS:
            receive = self._counted(scope, receive)
        await self.app(scope, receive, send)

    def _counted(self, scope: Scope, receive: Receive) -> Receive:
        received = 0
        more: list[int] = scope.setdefault(MORE_BODY_KEY, [0])

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes + more[0]:
                raise HTTPException(status_code=413)
            return message

        return counted
