"""E-mails: text and HTML from templates, sent by a job after the transaction is committed."""

from typing import TYPE_CHECKING

from opportune.mail.delivery import enqueue_email, send_email
from opportune.mail.email import EmailMessage, render_email
from opportune.mail.errors import DeliveryError, InvalidEmailError
from opportune.runtime.lazy_exports import lazy_exports

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

__getattr__ = lazy_exports(__name__, {".https": ("APIAnswer", "HTTPSTransport"), ".parts": ("MessageParts",)})
