from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.settings import Settings


@dataclass(frozen=True)
class Letter:
    to: str
    subject: str
    text: str
    html: str
    message_id: str
    """Fixed when it is written: a letter that is sent twice after a crash shows as one."""


def compose(settings: Settings, to: str, template: str, context: Mapping[str, Any]) -> Letter:
    """Write a letter from `templates/<template>.txt`, whose first line is `Subject: …`, and `.html` where there is one.

    Templates see the context and `address(path)`, which makes an absolute address of the site.
    """
    raise NotImplementedError


def post(session: AsyncSession, letter: Letter) -> None:
    """Have it sent when this session commits, and not at all when it does not."""
    raise NotImplementedError
