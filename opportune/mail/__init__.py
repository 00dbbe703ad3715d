"""Mail: text and HTML from templates, sent as a job after the change that it tells of is committed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from opportune.mail.delivery import enqueue_email, send_email
from opportune.mail.email import EmailMessage, render_email
from opportune.mail.errors import DeliveryError, InvalidEmailError

if TYPE_CHECKING:
    from opportune.mail.https import APIAnswer, HTTPSTransport
    from opportune.mail.parts import MessageParts

__all__ = [
    "APIAnswer",
    "DeliveryError",
    "EmailMessage",
    "HTTPSTransport",
    "InvalidEmailError",
    "MessageParts",
    "enqueue_email",
    "render_email",
    "send_email",
]

_MODULES = {"APIAnswer": "https", "HTTPSTransport": "https", "MessageParts": "parts"}


def __getattr__(name: str) -> Any:
    """Import what is asked for: most sites have no provider of their own."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value
