"""The package of the protocol, loaded with the first run: its models take a third of a second."""

import asyncio
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from opportune.errors import FieldErrors, ServiceError
from opportune.i18n import gettext as _
from opportune.web.forms.error_messages import messages_by_field


class PackageMissing(ServiceError):
    """The optional packages are not installed."""

    service = "AG-UI"
    retryable = False
    advice = "Install its packages: python3 oppman.py install ag-ui"

    def __init__(self) -> None:
        super().__init__(_("AG-UI is not installed on this site."))


@cache
def core() -> ModuleType:
    """Return the models of the protocol.

    Raises:
        PackageMissing: They are not installed.
    """
    if not find_spec("ag_ui"):
        raise PackageMissing
    from ag_ui import core

    return core


@cache
def _encoder() -> Any:
    from ag_ui.encoder import EventEncoder

    return EventEncoder()


def encode(event: Any) -> bytes:
    encoded: str = _encoder().encode(event)
    return encoded.encode()


async def parse_input(data: dict[str, Any]) -> Any:
    """Return the `RunAgentInput` of a request.

    Raises:
        FieldErrors: It is invalid, or does not end with a question.
        PackageMissing: The optional packages are not installed.
    """
    models = await asyncio.to_thread(core)
    try:
        run = models.RunAgentInput.model_validate(data)
    except ValidationError as error:
        raise FieldErrors(messages_by_field(error)) from None
    if not (run.resume or (run.messages and run.messages[-1].role == "user")):
        raise FieldErrors({"messages": _("The last message must be a question of the user.")})
    return run


def text_of(message: Any) -> str:
    """Return the text of a message.

    Raises:
        FieldErrors: It contains other parts.
    """
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    if any(part.type != "text" for part in message.content):
        raise FieldErrors({"messages": _("Only text can be sent here.")})
    return "\n\n".join(part.text for part in message.content)
