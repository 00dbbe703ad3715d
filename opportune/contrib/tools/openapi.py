"""Routes of the JSON API as tools, described by their OpenAPI schema."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.routing import Router

from opportune.contrib.llm.providers.provider import ToolSchema
from opportune.contrib.tools.declaration import NAME, Tool, ToolRequest
from opportune.crud.api import ROUTES
from opportune.errors import OperatorError
from opportune.web.middleware.origins import SAFE_METHODS
from opportune.web.routing.api_router import flatten
from opportune.web.routing.router import operation_id

JSON = "application/json"
BODY = "body"
COMPONENTS, DEFS = "#/components/schemas/", "#/$defs/"


def api_tools(router: APIRouter, *functions: Callable[..., Any]) -> list[Tool]:
    """Create tools from the routes of a router. Routes other than GET need the user's approval.

    Example:
        Feature("books", api=api.router, llm=Llm(tools=api_tools(api.router, api.list_books, api.lend_book)))

    Args:
        router: Router of the feature's API.
        functions: Route functions to include; by default all. The `name=` of a route replaces the function's name.
            Routes of `CrudApi` are called `books_list` and so on.

    Raises:
        OperatorError: A function is not a route of the router.
    """
    routes = [route for route in flatten(router).routes if isinstance(route, APIRoute)]
    endpoints = [route.endpoint for route in routes]
    for function in functions:
        if function not in endpoints:
            raise OperatorError(f"{function.__module__}.{function.__qualname__} is not a route of this router.")
    return [_create_tool(route) for route in routes if not functions or route.endpoint in functions]


def _create_tool(route: APIRoute) -> Tool:
    name = operation_id(route) if route.name in ROUTES else route.name
    status = name.replace("_", " ").capitalize()
    return ApiTool(route.endpoint, name, status, asks=_method(route) not in SAFE_METHODS, route=route)


def _method(route: APIRoute) -> str:
    return min(route.methods or ("GET",))


@dataclass(frozen=True, eq=False, kw_only=True)
class ApiTool(Tool):
    """A route as a tool. The model sets its path and query parameters and its body."""

    route: APIRoute

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise OperatorError(f"{self._path}: {self.name} is not a valid tool name. Set name= of its route.")

    @property
    def description(self) -> str:
        return self.route.description or f"{self.status} ({_method(self.route)} {self.route.path})"

    @property
    def result_type(self) -> Any:
        return self.signature.empty if self.route.response_model is None else self.route.response_model

    @cached_property
    def schema(self) -> ToolSchema:
        declared = [*self._parameters()]
        properties = {name: schema for name, schema, _ in declared}
        required = [name for name, _, is_required in declared if is_required]
        parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        if definitions := self._definitions(parameters):
            parameters["$defs"] = definitions
        return ToolSchema(self.name, self.description, parameters)

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """Model that checks only the names; the route validates the values."""
        parameters: Any = self.schema.parameters
        fields: dict[str, Any] = {
            f"argument_{number}": (Any, Field(... if name in parameters["required"] else None, alias=name))
            for number, name in enumerate(parameters["properties"])
        }
        return create_model(self.name, __config__=ConfigDict(extra="forbid"), **fields)

    def add_to(self, app: FastAPI) -> APIRoute:
        app.mount(f"/{self.name}", Router([self.route]))  # separate, so that no argument can reach another route
        return self.route

    def request(self, arguments: BaseModel) -> ToolRequest:
        values = arguments.model_dump(by_alias=True, exclude_unset=True)
        path_values = {name: str(values.get(name)) for name in self.route.param_convertors}
        query = [
            (name, _query_value(value))
            for name, value in values.items()
            if value is not None and name != BODY and name not in path_values
        ]
        body = json.dumps(values[BODY]).encode() if BODY in values else b""
        path = f"/{self.name}{self.route.path_format.format(**path_values)}"
        return ToolRequest(_method(self.route), path, urlencode(query, doseq=True).encode(), body)

    def _parameters(self) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
        """Yield name, schema and necessity of the parameters and the body."""
        for parameter in self._operation.get("parameters", ()):
            name, location = parameter["name"], parameter["in"]
            if location in ("path", "query"):
                description = {"description": parameter["description"]} if "description" in parameter else {}
                yield name, parameter["schema"] | description, parameter["required"]
            elif parameter["required"]:
                raise OperatorError(f"{self._path} needs the {location} {name}, which a model cannot send.")
        if body := self._operation.get("requestBody"):
            if JSON not in body["content"]:
                raise OperatorError(f"{self._path} takes a form or a file. List only other routes in api_tools(...).")
            yield BODY, body["content"][JSON]["schema"], body.get("required", False)

    @cached_property
    def _document(self) -> Any:
        document = get_openapi(title=self.name, version="1", routes=[self.route])
        return json.loads(json.dumps(document).replace(COMPONENTS, DEFS))

    @property
    def _operation(self) -> Mapping[str, Any]:
        try:
            operation: Mapping[str, Any] = self._document["paths"][self.route.path_format][_method(self.route).lower()]
        except KeyError:
            raise OperatorError(f"{self._path} is not in the OpenAPI document, so it cannot be a tool.") from None
        return operation

    def _definitions(self, schema: Any) -> dict[str, Any]:
        """Return the models that a schema refers to, also indirectly, found by their references in its text."""
        models = self._document.get("components", {}).get("schemas", {})
        definitions: dict[str, Any] = {}
        text = json.dumps(schema)
        while missing := [name for name in models if f'"{DEFS}{name}"' in text and name not in definitions]:
            definitions |= {name: models[name] for name in missing}
            text = json.dumps(definitions)
        return definitions


def _query_value(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return [*map(_query_value, value)] if isinstance(value, list) else value
