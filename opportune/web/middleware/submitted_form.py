"""Forms that the middleware reads before the route: their hidden fields, and the key that identifies a submission."""

import hashlib
import re

from starlette.types import Message, Receive, Scope

from opportune.web.forms.hidden_fields import TOKEN_FIELD, USER_FIELD
from opportune.web.middleware.body_limit import MAX_BODY_BYTES

MAX_COMPARED_BYTES = 262_144
"""Bytes of a form with files that are compared. For longer forms, the total length is compared as well."""
URLENCODED, MULTIPART = b"application/x-www-form-urlencoded", b"multipart/form-data"


def _hidden_field(name: str) -> re.Pattern[bytes]:
    return re.compile(rf'(?:(?:^|&){name}=|name="{name}"\r\n\r\n)([\w-]{{16,64}})'.encode())


TOKEN = _hidden_field(TOKEN_FIELD)
FORM_USER = _hidden_field(USER_FIELD)
BOUNDARY = re.compile(rb'boundary="?([^";,]+)')
CHANGING_COOKIES = re.compile(rb"(?:__Host-)?(?:messages|wrote)=[^;]*(?:; )?")
"""Cookies that the first response may change, so they do not identify the visitor."""


class SubmittedForm:
    """Form that is read up to a limit and then passed to the route completely."""

    def __init__(self, content_type: bytes, receive: Receive) -> None:
        self._content_type = content_type
        self._receive = receive
        self._messages: list[Message] = []
        self._start = b""
        self._is_cut = False

    async def read(self) -> None:
        """Read the start of the form, which contains the hidden fields."""
        limit = MAX_COMPARED_BYTES if self._content_type.lower().startswith(MULTIPART) else MAX_BODY_BYTES
        parts = []
        size = 0
        has_more = True
        while has_more and size < limit:
            message = await self._receive()
            self._messages.append(message)
            if message["type"] != "http.request":
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            has_more = message.get("more_body", False)
        self._start = b"".join(parts)[:limit]  # the network decides where parts end
        self._is_cut = size >= limit

    async def receive(self) -> Message:
        """Return the messages of the whole form, as the server has sent them."""
        return self._messages.pop(0) if self._messages else await self._receive()

    @property
    def user_mark(self) -> str:
        """The mark of the user who has loaded the form, or an empty text."""
        mark = FORM_USER.search(self._start)
        return mark[1].decode() if mark else ""

    @property
    def token(self) -> bytes:
        """The token of a form that is processed once. Other forms have none."""
        token = TOKEN.search(self._start)
        return token[1] if token else b""

    def key_in(self, scope: Scope) -> str:
        """Return a hash of visitor, URL, token and values."""
        headers = dict(scope["headers"])
        visitor = CHANGING_COOKIES.sub(b"", headers.get(b"cookie", b"")).rstrip(b"; ")
        boundary = BOUNDARY.search(self._content_type)
        values = self._start.replace(boundary[1], b"") if boundary else self._start
        length = headers.get(b"content-length", b"") if self._is_cut else b""
        parts = (scope["path"].encode(), scope["query_string"], self.token, visitor, headers.get(b"authorization", b""))
        return hashlib.sha256(b"\0".join((*parts, length, values))).hexdigest()


def form_type(scope: Scope) -> bytes:
    """Return the content type of a form, or nothing for other requests."""
    for name, value in scope["headers"]:
        if name == b"content-type" and value.lower().startswith((URLENCODED, MULTIPART)):
            return bytes(value)
    return b""
