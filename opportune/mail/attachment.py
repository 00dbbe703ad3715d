"""Files of an e-mail."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage as MIMEMessage
from mimetypes import guess_type
from typing import Any, Self

from opportune.errors.arguments import strict
from opportune.mail.addresses import InvalidEmailError, single_line

CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
CONTENT_ID = re.compile(r"[\w.@+-]*", re.ASCII)
WRONG_ATTACHMENT = "An attachment needs a type such as image/png, and a content_id such as logo."  # not translated
COMPOSED = ("message/", "multipart/")
"""Types of e-mails and their parts, which programs would show instead of the file."""
ANY_TYPE = "application/octet-stream"


@strict
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
        guessed, compression = guess_type(self.filename)
        content_type = self.content_type or (guessed if guessed and not compression else ANY_TYPE)
        if not CONTENT_TYPE.fullmatch(content_type) or not CONTENT_ID.fullmatch(self.content_id):
            raise InvalidEmailError(WRONG_ATTACHMENT)
        object.__setattr__(self, "content_type", content_type)
        object.__setattr__(self, "filename", single_line("name of an attachment", self.filename))

    @property
    def base64(self) -> str:
        return b64encode(self.content).decode()

    def add_to(self, message: MIMEMessage, html: MIMEMessage | None) -> None:
        """Attach the file to an e-mail, or embed it in its HTML."""
        content_type = ANY_TYPE if self.content_type.startswith(COMPOSED) else self.content_type
        main_type, _, subtype = content_type.partition("/")
        options: dict[str, Any] = {"maintype": main_type, "subtype": subtype, "filename": self.filename}
        if html and self.content_id:
            html.add_related(self.content, **options, disposition="inline", cid=f"<{self.content_id}>")
        else:
            message.add_attachment(self.content, **options)

    def to_json(self) -> dict[str, str]:
        return {**vars(self), "content": self.base64}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(**{**values, "content": b64decode(values["content"])})
