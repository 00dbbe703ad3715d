"""Files of an e-mail."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage as MIMEMessage
from mimetypes import guess_type
from typing import Any, Self, cast

from opportune.mail.addresses import InvalidEmailError, single_line

CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
CONTENT_ID = re.compile(r"[\w.@+-]*", re.ASCII)
COMPOSED = ("message/", "multipart/")
"""Types of e-mails and their parts, which programs would show instead of the file."""
ANY_TYPE = "application/octet-stream"


WRONG_ATTACHMENT = "An attachment needs a type such as image/png, and letters as content_id."  # not translated


@dataclass(frozen=True)
class Attachment:
    """A file of an e-mail: `Attachment("invoice.pdf", pdf)`."""

    filename: str
    content: bytes = field(repr=False)
    content_type: str = ""
    """Such as `application/pdf`. If empty, it follows from the name."""
    content_id: str = ""
    """Id of a picture that the HTML shows: `logo` for `<img src="cid:logo">`. Empty for other files."""

    def __post_init__(self) -> None:
        """Raise InvalidEmailError for a wrong type or id."""
        content_type = self.content_type or guess_type(self.filename)[0] or ANY_TYPE
        if not CONTENT_TYPE.fullmatch(content_type) or not CONTENT_ID.fullmatch(self.content_id):
            raise InvalidEmailError(WRONG_ATTACHMENT)
        object.__setattr__(self, "content_type", content_type)
        object.__setattr__(self, "filename", single_line("name of an attachment", self.filename))

    @property
    def base64(self) -> str:
        return b64encode(self.content).decode()

    def add_to(self, message: MIMEMessage) -> None:
        """Attach the file, or embed it in the HTML."""
        content_type = ANY_TYPE if self.content_type.startswith(COMPOSED) else self.content_type
        main_type, _, subtype = content_type.partition("/")
        html = message.get_body(("html",)) if self.content_id else None
        if html is None:
            message.add_attachment(self.content, maintype=main_type, subtype=subtype, filename=self.filename)
            return
        cast(MIMEMessage, html).add_related(
            self.content,
            maintype=main_type,
            subtype=subtype,
            filename=self.filename,
            disposition="inline",
            cid=f"<{self.content_id}>",
        )

    def to_json(self) -> dict[str, str]:
        return {**vars(self), "content": self.base64}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(**{**values, "content": b64decode(values["content"])})
