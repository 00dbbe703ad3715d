"""A tool: an async function whose types and docstring tell a model how to have it called."""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from fastapi import Depends, FastAPI, params
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from starlette.requests import HTTPConnection, Request

from opportune.errors import OperatorError
from opportune.llm.providers.provider import ToolSchema
from opportune.llm.tools.source import Source

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}")
"""What all endpoints take as the name of a function."""

Function = Callable[..., Awaitable[Any]]


class ToolRequest(NamedTuple):
    """What is sent to a tool's route."""

    method: str
    path: str
    query: bytes
    body: bytes


@dataclass(frozen=True, eq=False)
class Tool:
    """A function that a model may have called; `tool` makes one of it."""

    function: Function
    name: str
    status: str
    """What people read while it runs."""
    asks: bool | None = None
    """Whether the person is asked before it runs. None: if it has a `WriteSession` or a `DatabaseDependency`."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise OperatorError(f"{self._place}: {self.name} is no name for a tool: letters, digits and _, at most 64.")
        if not inspect.iscoroutinefunction(self.function):
            raise OperatorError(f"{self._place}: a tool is an async function.")
        if not self.description:
            raise OperatorError(f"{self._place} needs a docstring: it tells the model what the tool is for.")

    @property
    def _place(self) -> str:
        return f"{getattr(self.function, '__module__', '?')}.{getattr(self.function, '__qualname__', self.name)}"

    @property
    def description(self) -> str:
        return inspect.getdoc(self.function) or ""

    @cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function, eval_str=True)

    @cached_property
    def dependencies(self) -> list[inspect.Parameter]:
        """What FastAPI finds out, as for a route: the person, a session, whatever they depend on."""
        return [each for each in self.signature.parameters.values() if _is_dependency(each)]

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """What the model chooses."""
        chosen = [each for each in self.signature.parameters.values() if not _is_dependency(each)]
        for each in chosen:
            if each.annotation is each.empty or each.kind in (
                each.VAR_POSITIONAL,
                each.VAR_KEYWORD,
                each.POSITIONAL_ONLY,
            ):
                raise OperatorError(f"{self._place}: give {each.name} a type, as the model is told of it.")
        fields: dict[str, Any] = {
            each.name: (each.annotation, ... if each.default is each.empty else each.default) for each in chosen
        }
        try:
            return create_model(self.name, __config__=ConfigDict(extra="forbid"), **fields)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            raise OperatorError(f"{self._place}: {str(error).splitlines()[0]}") from error

    @cached_property
    def gives_sources(self) -> bool:
        """Whether it returns what an answer cites: a `Source`, or several."""
        returned = self.signature.return_annotation
        return any(isinstance(each, type) and issubclass(each, Source) for each in (returned, *_parts(returned)))

    @property
    def result_type(self) -> Any:
        """The type of what it returns; `inspect.Signature.empty` if nothing is said of it."""
        return self.signature.return_annotation

    @property
    def searched(self) -> str:
        """The one argument that it needs: what is looked for.

        Raises:
            OperatorError: there is none, or it needs others too, or it returns no `Source`.
        """
        fields = self.arguments.model_fields.items()
        needed = [field.alias or name for name, field in fields if field.is_required()]
        if len(needed) != 1 or not self.gives_sources:
            raise OperatorError(f"{self._place}: retrieval takes one text to look for, and returns Sequence[Source].")
        return needed[0]

    @cached_property
    def schema(self) -> ToolSchema:
        """What the model is told of it."""
        return ToolSchema(self.name, self.description, _without_titles(self.arguments.model_json_schema()))

    def add_to(self, app: FastAPI) -> APIRoute:
        """Have it answer there to what `request` makes."""
        app.add_api_route(f"/{self.name}", _endpoint(self), methods=["POST"])
        route = app.routes[-1]
        assert isinstance(route, APIRoute)
        return route

    def parse(self, arguments: str) -> BaseModel:
        """The arguments that a model wrote, as JSON.

        Raises:
            ValidationError: they are not what it is told of.
        """
        return self.arguments.model_validate_json((arguments or "{}").encode(errors="replace"))

    def request(self, arguments: BaseModel) -> ToolRequest:
        """What a call is; the route reads the arguments from its `state.tool_arguments`."""
        del arguments
        return ToolRequest("POST", f"/{self.name}", b"", b"")


def tool(function: Function | Tool, *, name: str = "", status: str = "", asks: bool | None = None) -> Tool:
    """A function as a tool, for `Feature(tools=[…])`, which takes plain functions as well.

        tool(add_todo, status="Adding a to-do", asks=False)

    `name`: the function's own. `status`, what people read while it runs: the first line of its docstring.
    `asks`, whether the person is asked before: where it has a `WriteSession`, or a `DatabaseDependency`, of which
    `asks=False` says that it only reads.

    Raises:
        OperatorError: it is no async function with a docstring.
    """
    if isinstance(function, Tool):
        return function
    words = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
    return Tool(function, name or getattr(function, "__name__", ""), status or words, asks)


def tools_of(declared: Sequence[Function | Tool]) -> dict[str, Tool]:
    """Tools by their names.

    Raises:
        OperatorError: two have one name, or one is no tool.
    """
    found: dict[str, Tool] = {}
    for each in map(tool, declared):
        if (other := found.get(each.name)) and other.function is not each.function:
            raise OperatorError(f"There are two tools {each.name}: {other._place} and {each._place}. Rename one.")
        found[each.name] = each
    return found


def _endpoint(tool: Tool) -> Any:
    """A route's function: the arguments are as they were parsed, the rest is found out as for any route."""

    async def call(tool_arguments: BaseModel, **found: Any) -> Any:
        return await tool.function(**dict(tool_arguments), **found)

    body = inspect.Parameter(
        "tool_arguments", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[Any, Depends(_given)]
    )
    others = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in tool.dependencies]
    returned = tool.signature.return_annotation
    call.__module__ = tool.function.__module__  # whose feature it is
    call.__signature__ = inspect.Signature([body, *others], return_annotation=returned)  # type: ignore[attr-defined]
    return call


async def _given(request: Request) -> Any:
    return request.state.tool_arguments


def _is_dependency(parameter: inspect.Parameter) -> bool:
    if isinstance(parameter.default, params.Depends):
        return True
    kind = parameter.annotation
    if get_origin(kind) is Annotated:
        return any(isinstance(each, params.Depends) for each in get_args(kind)[1:])
    return isinstance(kind, type) and issubclass(kind, HTTPConnection)


def _parts(annotation: Any) -> Iterator[Any]:
    for each in get_args(annotation):
        yield each
        yield from _parts(each)


def _without_titles(schema: Any) -> Any:
    """Pydantic's titles repeat the names: a model pays for each word that it reads."""
    return dict(_untitled(schema)) if isinstance(schema, Mapping) else schema


def _untitled(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in ("properties", "$defs"):
            yield key, {name: _without_titles(each) for name, each in value.items()}
        elif isinstance(value, list):
            yield key, [_without_titles(each) for each in value]
        else:
            yield key, _without_titles(value)
