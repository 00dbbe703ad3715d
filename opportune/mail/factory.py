"""The transport that MAIL_URL selects."""

import re
from importlib import import_module
from pathlib import Path
from typing import cast

from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.mail.mail_url import MailUrl
from opportune.mail.smtp import parse_smtp_url
from opportune.mail.transport import EXAMPLES, ConsoleTransport, FileTransport, Transport
from opportune.project.layout import PROJECT

PROVIDERS = {
    "resend": "opportune.contrib.mail_providers:Resend",
    "postmark": "opportune.contrib.mail_providers:Postmark",
    "brevo": "opportune.contrib.mail_providers:Brevo",
    "mailgun": "opportune.contrib.mail_providers:Mailgun",
    "ses": "opportune.contrib.mail_providers:SES",
}
CLASS_PATH = re.compile(r"[a-z_][\w.]*:[a-z_]\w*", re.IGNORECASE)
"""Path of a transport class in the project."""


def transport_for(settings: Settings) -> Transport:
    """Return the transport that MAIL_URL selects.

    Raises:
        OperatorError: MAIL_URL is invalid.
    """
    url = settings.mail_url.get_secret_value().strip()
    name, slashes, location = url.partition("://")
    if slashes and (name.lower() in PROVIDERS or CLASS_PATH.fullmatch(name)):
        return _create_transport(PROVIDERS.get(name.lower(), name), location)
    scheme, _, rest = url.partition(":")
    match scheme.lower():
        case "console" if not rest.strip("/"):
            return ConsoleTransport(shows_text=not settings.is_production)
        case "file" if folder := rest.removeprefix("//"):
            return FileTransport(PROJECT / Path(folder))
        case "smtp" | "smtps":
            return parse_smtp_url(url)
    raise OperatorError(f"MAIL_URL is invalid. {EXAMPLES}")


def _create_transport(path: str, location: str) -> Transport:
    """Return a transport by its class, `module:Class`, and the part of MAIL_URL after `://`."""
    module, _, name = path.partition(":")
    try:
        transport_class = getattr(import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        raise OperatorError(f"MAIL_URL: {path} cannot be imported ({error}).") from error
    return cast("Transport", transport_class(MailUrl.parse(location)))
