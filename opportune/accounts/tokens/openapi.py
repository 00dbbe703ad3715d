"""Scopes, security schemes and errors in the OpenAPI document."""

import threading
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from opportune.accounts.tokens.dependencies import oauth2_scheme
from opportune.accounts.tokens.scopes import needed_scopes, scope_labels
from opportune.web.errors.problem import complete_responses, operations, refusals

HTTP_BEARER = "HTTPBearer"
REFUSALS = {str(status): response for status, response in refusals(401, 403).items()}
_schema_lock = threading.Lock()


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document with the scopes and errors of each operation. This function is thread-safe."""
    with _schema_lock:  # other threads must not read the document before the scopes are added
        if app.openapi_schema is None:
            schema = FastAPI.openapi(app)
            _add_scopes(app, schema)
            _add_http_bearer(schema)
            complete_responses(schema)
    return app.openapi_schema or {}


def _add_scopes(app: FastAPI, schema: dict[str, Any]) -> None:
    features = app.state.features
    scheme = schema.get("components", {}).get("securitySchemes", {}).get(oauth2_scheme.scheme_name)
    if scheme:
        scheme["flows"]["password"]["scopes"] = scope_labels(app)
    for context in iter_route_contexts(app.routes):
        if any(dependency.call is oauth2_scheme for dependency in _dependencies(context.original_route)):
            continue  # signing out accepts any token
        for method in context.methods or ():
            operation = schema["paths"].get(context.path_format, {}).get(method.lower(), {})
            _add_operation_scopes(operation, needed_scopes(context.original_route, method, features))


def _add_operation_scopes(operation: dict[str, Any], needed: Sequence[str]) -> None:
    """Add the scopes to the requirements with a token, which may already have the scopes of included routers."""
    for requirement in operation.get("security", ()):
        if oauth2_scheme.scheme_name in requirement:
            scopes = requirement[oauth2_scheme.scheme_name]
            scopes += [scope for scope in needed if scope not in scopes]
            operation["responses"] = REFUSALS | operation["responses"]


def _add_http_bearer(schema: dict[str, Any]) -> None:
    """Add bearer tokens as a scheme without a sign-in flow, which generators of clients understand best."""
    for operation in operations(schema):
        if any(oauth2_scheme.scheme_name in requirement for requirement in operation.get("security", ())):
            schema["components"]["securitySchemes"][HTTP_BEARER] = {"type": "http", "scheme": "bearer"}
            operation["security"].append({HTTP_BEARER: []})


def _dependencies(route: object) -> Sequence[Dependant]:
    dependant: Dependant | None = getattr(route, "dependant", None)
    return dependant.dependencies if dependant else ()
