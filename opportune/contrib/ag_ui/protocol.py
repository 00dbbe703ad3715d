"""The package of the protocol, loaded with the first run: its models take a third of a second."""

import asyncio
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from opportune.errors import FieldErrors, ServiceError
from opportune.i18n import gettext as _
from opportune.web.forms.error_messages import messages_by_field

MAX_ID_LENGTH = 200


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


def encode(event: Any) -> bytes:
    """Return an event by the encoder of the package."""
    from ag_ui.encoder import EventEncoder

    return EventEncoder().encode(event).encode()


def parse(model: type[BaseModel], data: dict[str, Any]) -> Any:
    """Return a valid instance of a model.

    Raises:
        FieldErrors: The data is invalid.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise FieldErrors(messages_by_field(error)) from None


async def parse_input(data: dict[str, Any]) -> Any:
    """Return the `RunAgentInput` of a request.

    Raises:
        FieldErrors: It is invalid, or does not end with a question.
        PackageMissing: The optional packages are not installed.
    """
    models = await asyncio.to_thread(core)
    run = parse(models.RunAgentInput, data)
    if not (run.resume or (run.messages and run.messages[-1].role == "user")):
        raise FieldErrors({"messages": _("The last message must be a question of the user.")})
    if max(len(run.thread_id), len(run.run_id)) > MAX_ID_LENGTH:
        raise FieldErrors({"": _("threadId and runId have at most %(number)s characters.", number=MAX_ID_LENGTH)})
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
