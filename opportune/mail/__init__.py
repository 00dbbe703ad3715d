"""Mail: text and HTML from templates, sent as a job after the change that it tells of is committed."""

from opportune.mail.delivery import enqueue_email, send_email
from opportune.mail.email import EmailMessage, render_email
from opportune.mail.errors import DeliveryError, InvalidEmailError

__all__ = ["DeliveryError", "EmailMessage", "InvalidEmailError", "enqueue_email", "render_email", "send_email"]
