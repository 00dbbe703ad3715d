"""Request ids, and one log line for each request. With `LOG_FORMAT=json` each value is a field."""

import itertools
import logging
import re
import secrets
from contextvars import ContextVar

from starlette.types import Scope

from opportune.web.machine_paths import MACHINE_PATHS
from opportune.web.routing.root_path import path_below_root

logger = logging.getLogger("opportune.request")

QUIET_FOLDERS = ("/health/", "/static/")

request_id: ContextVar[str] = ContextVar("request_id", default="")

# Prefix of request ids, different in each process. It is not a secret.
PROCESS_ID = secrets.token_hex(4)
_request_numbers = itertools.count(1)
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id_of(scope: Scope) -> str:
    """Return the request id of the client if it has only safe characters, else a new one."""
    id_ = _header(scope, b"x-request-id")
    return id_ if ACCEPTABLE_ID.fullmatch(id_) else f"{PROCESS_ID}{next(_request_numbers):08x}"


def client_traceparent(scope: Scope) -> str:
    """Return the client's `traceparent` header if it is valid, else an empty string."""
    trace = _header(scope, b"traceparent")
    return trace if TRACEPARENT.fullmatch(trace) else ""


def _header(scope: Scope, name: bytes) -> str:
    first_values: dict[bytes, bytes] = dict(reversed(scope["headers"]))
    return first_values.get(name, b"").decode("latin-1")


def log_request(scope: Scope, status: int, seconds: float) -> None:
    """Log a request, without its query, which may contain a token."""
    path = path_below_root(scope)
    is_wrong_token = path in MACHINE_PATHS and status == 401  # an attacker may be guessing it
    is_quiet = not is_wrong_token and (path in MACHINE_PATHS or f"{path}/".startswith(QUIET_FOLDERS))
    level = logging.DEBUG if is_quiet else logging.INFO
    if logger.isEnabledFor(level):
        milliseconds = round(seconds * 1000, 1)
        # "cut": the client left before a response
        values = (scope["method"], scope["path"], status or "cut", milliseconds)
        # `logger.log` searches the stack for its caller, which doubles the cost of a line.
        record = logger.makeRecord(logger.name, level, __file__, 0, "%s %s %s %s ms", values, None)
        vars(record).update(method=scope["method"], path=scope["path"], status=status, milliseconds=milliseconds)
        logger.handle(record)
