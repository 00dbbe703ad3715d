"""Log of security events: refused sign-ins, permissions and limits, with account and address (ASVS 5.0 16.3).

With `LOG_FORMAT=json` each value is a field. The formatter adds time and request id.
"""

import logging

from starlette.requests import HTTPConnection
from starlette.types import Scope

from opportune.web.client import client_address

logger = logging.getLogger("opportune.security")

EVENTS_BY_STATUS = {401: "token_refused", 403: "permission_refused", 429: "limit_reached"}


def log_security_event(
    event: str, address: str, account: int | None, level: int = logging.WARNING, **values: object
) -> None:
    """Log a security event in one line. The values must not contain secrets. Of visitors they contain the path."""
    fields = {"event": event, "address": address or None, "account": account, **values}
    text = " ".join(f"{name}={value}" for name, value in fields.items() if name != "event" and value is not None)
    logger.log(level, "%s %s", event, text, extra=fields)


def log_refused_request(scope: Scope, status: int) -> None:
    """Log a request without a valid token or permission, or over a rate limit."""
    if status not in EVENTS_BY_STATUS or "app" not in scope:
        return
    has_token = any(name == b"authorization" for name, _ in scope["headers"])
    if status == 401 and not has_token:  # a visitor who is not signed in
        return
    state = scope.get("state", {})
    user = state.get("user")
    superuser = state.get("impersonator")
    log_security_event(
        EVENTS_BY_STATUS[status],
        client_address(HTTPConnection(scope)),
        user.id if user else None,
        superuser=superuser.id if superuser else None,
        method=scope["method"],
        path=scope["path"],
    )
