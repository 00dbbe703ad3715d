"""Scopes, security schemes and errors in the OpenAPI document."""

import threading
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from opportune.accounts.tokens.dependencies import oauth2_scheme
from opportune.accounts.tokens.scopes import needed_scopes, scope_labels
from opportune.web.errors.openapi import complete_responses, error_responses

HTTP_BEARER = "HTTPBearer"
REFUSALS = {str(status): response for status, response in error_responses(401, 403).items()}
_schema_lock = threading.Lock()


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document with the scopes and errors of each operation. This function is thread-safe."""
    with _schema_lock:  # other threads must not read the document before the scopes are added
        if app.openapi_schema is None:
            schema = FastAPI.openapi(app)
            _add_scopes(app, schema)
            complete_responses(schema)
    return app.openapi_schema or {}


def _add_scopes(app: FastAPI, schema: dict[str, Any]) -> None:
    schemes = schema.get("components", {}).get("securitySchemes", {})
    if oauth2_scheme.scheme_name in schemes:
        schemes[oauth2_scheme.scheme_name]["flows"]["password"]["scopes"] = scope_labels(app)
        # A scheme without a sign-in flow, which generators of clients understand best.
        schemes[HTTP_BEARER] = {"type": "http", "scheme": "bearer"}
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        signs_out = any(dependency.call is oauth2_scheme for dependency in _dependencies(route))
        for method in context.methods or ():
            operation = schema["paths"].get(context.path_format, {}).get(method.lower(), {})
            # Signing out accepts any token.
            _add_operation_scopes(operation, () if signs_out else needed_scopes(route, method, app.state.features))


def _add_operation_scopes(operation: dict[str, Any], needed: Sequence[str]) -> None:
    """Add the scopes to the requirements with a token, which may already have the scopes of included routers."""
    for requirement in [*operation.get("security", ())]:
        if oauth2_scheme.scheme_name in requirement:
            scopes = requirement[oauth2_scheme.scheme_name]
            scopes += [scope for scope in needed if scope not in scopes]
            operation["security"].append({HTTP_BEARER: []})
            operation["responses"] = (REFUSALS if needed else {}) | operation["responses"]


def _dependencies(route: object) -> Sequence[Dependant]:
    dependant: Dependant | None = getattr(route, "dependant", None)
    return dependant.dependencies if dependant else ()
