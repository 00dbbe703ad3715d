"""Routes of the JSON API as tools: a model is told of them by their OpenAPI schema, and they run as they are."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.routing import Router

from opportune.errors import OperatorError
from opportune.llm.providers.provider import ToolSchema
from opportune.llm.tools.tool import NAME, Tool, ToolRequest
from opportune.web.middleware.csrf import SAFE_METHODS
from opportune.web.routing.router import flatten

JSON = "application/json"
BODY = "body"
COMPONENTS, DEFS = "#/components/schemas/", "#/$defs/"


def api_tools(router: APIRouter, *functions: Callable[..., Any]) -> list[Tool]:
    """The routes of a feature's API as tools: all of this router, or those of these functions.

        Feature(name="books", api=api.router, tools=api_tools(api.router, api.list_books, api.lend_book))

    Each is called like its function, or as the `name=` of its route says. What is not GET asks the person before.

    Raises:
        OperatorError: a function is no route there.
    """
    routes = [route for route in flatten(router).routes if isinstance(route, APIRoute)]
    for function in functions:
        if not any(route.endpoint is function for route in routes):
            raise OperatorError(f"{function.__module__}.{function.__qualname__} is no route of this router.")
    return [_tool(route) for route in routes if not functions or route.endpoint in functions]


def _tool(route: APIRoute) -> "ApiTool":
    words = route.name.replace("_", " ").capitalize()
    return ApiTool(route.endpoint, route.name, words, asks=_method(route) not in SAFE_METHODS, route=route)


def _method(route: APIRoute) -> str:
    return min(route.methods or ("GET",))


@dataclass(frozen=True, eq=False, kw_only=True)
class ApiTool(Tool):
    """A route as a tool. What it takes in its path, its query and its body the model chooses."""

    route: APIRoute

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise OperatorError(f"{self._place}: {self.name} is no name for a tool. Give its route another: name=…")

    @property
    def method(self) -> str:
        return _method(self.route)

    @property
    def description(self) -> str:
        return self.route.description or f"{self.status} ({self.method} {self.route.path})"

    @property
    def result_type(self) -> Any:
        return self.signature.empty if self.route.response_model is None else self.route.response_model

    @cached_property
    def schema(self) -> ToolSchema:
        properties, required = {}, []
        for name, schema, is_required in self._chosen():
            properties[name] = schema
            required += [name] if is_required else []
        parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        whole = json.loads(json.dumps(parameters).replace(COMPONENTS, DEFS))
        if known := self._definitions(whole):
            whole["$defs"] = known
        return ToolSchema(self.name, self.description, whole)

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """Their names alone: the route looks at the rest."""
        known: Any = self.schema.parameters
        fields: dict[str, Any] = {
            f"argument_{number}": (Any, Field(... if name in known["required"] else None, alias=name))
            for number, name in enumerate(known["properties"])
        }
        return create_model(self.name, __config__=ConfigDict(extra="forbid"), **fields)

    def add_to(self, app: FastAPI) -> APIRoute:
        app.mount(f"/{self.name}", Router([self.route]))  # alone: no argument leads to another one
        return self.route

    def request(self, arguments: BaseModel) -> ToolRequest:
        given = arguments.model_dump(by_alias=True, exclude_unset=True)
        in_path = {name: str(given.get(name)) for name in self.route.param_convertors}
        query = {name: _written(value) for name, value in given.items() if value is not None and name != BODY}
        chosen = [(name, value) for name, value in query.items() if name not in in_path]
        body = json.dumps(given[BODY]).encode() if BODY in given else b""
        path = f"/{self.name}{self.route.path_format.format(**in_path)}"
        return ToolRequest(self.method, path, urlencode(chosen, doseq=True).encode(), body)

    def _chosen(self) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
        for each in self._operation.get("parameters", ()):
            if each["in"] in ("path", "query"):
                words = {"description": each["description"]} if "description" in each else {}
                yield each["name"], each["schema"] | words, each["required"]
            elif each["required"]:
                raise OperatorError(f"{self._place} needs the {each['in']} {each['name']}, which no model can send.")
        if body := self._operation.get("requestBody"):
            if JSON not in body["content"]:
                raise OperatorError(f"{self._place} takes a form or a file: name the other routes in api_tools(…).")
            yield BODY, body["content"][JSON]["schema"], body.get("required", False)

    @cached_property
    def _document(self) -> Mapping[str, Any]:
        return get_openapi(title=self.name, version="1", routes=[self.route])

    @property
    def _operation(self) -> Mapping[str, Any]:
        try:
            operation: Mapping[str, Any] = self._document["paths"][self.route.path_format][self.method.lower()]
        except KeyError:
            raise OperatorError(f"{self._place} is not in the OpenAPI document: no model can be told of it.") from None
        return operation

    def _definitions(self, schema: Any) -> dict[str, Any]:
        """What a schema refers to, and what that refers to."""
        models = self._document.get("components", {}).get("schemas", {})
        found, text = dict[str, Any](), json.dumps(schema)
        while missing := [name for name in models if f'"{DEFS}{name}"' in text and name not in found]:
            found |= {name: json.loads(json.dumps(models[name]).replace(COMPONENTS, DEFS)) for name in missing}
            text = json.dumps(found)
        return found


def _written(value: object) -> object:
    """As addresses have it."""
    if isinstance(value, bool):
        return str(value).lower()
    return [_written(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
