"""Titles and messages of HTTP errors."""

from http import HTTPStatus

from opportune.i18n import gettext_lazy as _l

STATUS_TEXTS = {
    400: (_l("Bad Request"), _l("The request is invalid.")),
    401: (_l("Unauthorized"), _l("Sign in first.")),
    403: (_l("Forbidden"), _l("You may not do this.")),
    404: (_l("Not Found"), _l("There is nothing at this address.")),
    405: (_l("Method Not Allowed"), _l("This address does not support that kind of request.")),
    409: (_l("Conflict"), _l("This conflicts with existing data. Load the page again to see it.")),
    413: (_l("Request Too Large"), _l("The request is too large. Go back and send less, or a smaller file.")),
    415: (_l("Unsupported Media Type"), _l("Send JSON with the header Content-Type: application/json.")),
    422: (_l("Invalid Values"), _l("Some of the values are not valid.")),
    429: (_l("Too Many Requests"), _l("Too many requests. Wait a moment and try again.")),
    500: (_l("Internal Server Error"), _l("Something went wrong on our side. It has been logged.")),
    502: (_l("Bad Gateway"), _l("Another service did not respond as expected. Try again in a moment.")),
    503: (_l("Service Unavailable"), _l("The site cannot do this at the moment. Try again in a moment.")),
    507: (
        _l("Insufficient Storage"),
        _l("The disk of this site is full, so nothing was saved. Please try again later."),
    ),
}
"""Title and message of an error, by its status."""
STATUS_MESSAGES = {status: message for status, (_title, message) in STATUS_TEXTS.items()}

PHRASES = {status.value: status.phrase for status in HTTPStatus}
