"""The scopes in the description of the API."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from opportune.accounts.tokens.bearer import oauth2_scheme
from opportune.accounts.tokens.scopes import needed_scopes, offered_scopes
from opportune.web.errors.openapi import refusals

REFUSED = refusals(403)[403]


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the site, which says what scopes a token needs for each address."""
    if app.openapi_schema is None:
        schema, features = FastAPI.openapi(app), app.state.features
        scheme = schema.get("components", {}).get("securitySchemes", {}).get(oauth2_scheme.scheme_name)
        if scheme:
            scheme["flows"]["password"]["scopes"] = offered_scopes(features)
        for context in iter_route_contexts(app.routes):
            if any(each.call is oauth2_scheme for each in _dependencies(context.original_route)):
                continue  # it takes any token, and asks nobody who they are: to sign out
            for method in context.methods or ():
                operation = schema["paths"].get(context.path_format, {}).get(method.lower(), {})
                for scopes in (each.get(oauth2_scheme.scheme_name) for each in operation.get("security", ())):
                    if scopes is not None:  # with those that a router names that is included
                        needed = needed_scopes(context.original_route, method, features)
                        scopes += [each for each in needed if each not in scopes]
                        operation["responses"].setdefault("403", REFUSED)
    return app.openapi_schema or {}


def _dependencies(route: object) -> Sequence[Dependant]:
    dependant: Dependant | None = getattr(route, "dependant", None)
    return dependant.dependencies if dependant else ()
