"""Tools: async functions, described to the model by their types and docstrings."""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, get_args

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.contrib.llm.providers.provider import ToolSchema
from opportune.contrib.tools.endpoint import Function, is_dependency, make_endpoint
from opportune.contrib.tools.results import Source
from opportune.errors import OperatorError
from opportune.jobs import JobContext

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}")
"""Names that all endpoints accept."""
CALL_SECONDS = 30.0
"""Maximum duration of a call, unless the tool sets `max_seconds`."""
JOB_SECONDS = 3_600.0
"""Maximum duration of a job, unless the tool sets `max_seconds`."""

TYPE_ERRORS = (AttributeError, LookupError, NameError, PydanticUserError, SyntaxError, TypeError, ValueError)
"""Errors of annotations, which Python evaluates and Pydantic reads."""
TYPE_ADVICE = "Use types that Pydantic accepts, and import them also when the module runs."

FindParts = Callable[[AsyncSession, User | None], Awaitable[Mapping[str, str]]]
"""Return labels of the parts that a user may select, by name."""


class ToolRequest(NamedTuple):
    method: str
    path: str
    query: bytes
    body: bytes


class UntitledSchema(GenerateJsonSchema):
    """JSON Schema without Pydantic's titles of fields, which repeat the names and cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


@dataclass(frozen=True, eq=False)
class Tool:
    """A function that a model may call. Create it with `tool`.

    Attributes:
        function: Async function.
        name: Name for the model.
        status: Description for users while it runs.
        asks: True if the user must approve each call. None: if it can write to the database.
        max_seconds: Maximum duration of a call.
        form: Form that the user fills in as the result, instead of a call of the function. See `ask_user`.
        on_request: True if only answers that name it offer it.
        parts: Finds the parts to which an answer can limit it.
    """

    function: Function
    name: str
    status: str
    asks: bool | None = None
    max_seconds: float | None = None
    form: type[BaseModel] | None = None
    on_request: bool = False
    parts: FindParts | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            message = f"{self._path}: {self.name} is not a valid tool name. Use at most 64 letters, digits and _."
            raise OperatorError(message)
        if not inspect.iscoroutinefunction(self.function):
            raise OperatorError(f"{self._path}: a tool must be an async function.")
        if not self.description:
            raise OperatorError(f"{self._path} needs a docstring, which describes the tool to the model.")
        if self.form and self.asks is False:
            raise OperatorError(f"{self._path}: a form always asks the user. Remove asks=False.")

    @property
    def _path(self) -> str:
        return f"{getattr(self.function, '__module__', '?')}.{getattr(self.function, '__qualname__', self.name)}"

    @property
    def description(self) -> str:
        return inspect.getdoc(self.function) or ""

    @cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function, eval_str=True)

    @cached_property
    def dependencies(self) -> list[inspect.Parameter]:
        """Parameters that FastAPI resolves, as in a route."""
        return [parameter for parameter in self.signature.parameters.values() if is_dependency(parameter)]

    @cached_property
    def is_job(self) -> bool:
        """True if it runs as a job, because it has a `JobContext`."""
        return any(parameter.annotation is JobContext for parameter in self.dependencies)

    @property
    def is_deferred(self) -> bool:
        """True if an answer waits for the result of a call: a job, or a form for the user."""
        return self.is_job or self.form is not None

    @property
    def seconds(self) -> float:
        """Maximum duration of a call."""
        return self.max_seconds or (JOB_SECONDS if self.is_job else CALL_SECONDS)

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """Model of the parameters that the model sets."""
        fields: dict[str, Any] = {}
        for parameter in self.signature.parameters.values():
            if is_dependency(parameter):
                continue
            is_named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if parameter.annotation is parameter.empty or not is_named:
                raise OperatorError(f"{self._path}: {parameter.name} needs a type, which describes it to the model.")
            is_of_model = parameter.name.startswith("model_") and hasattr(BaseModel, parameter.name)
            if parameter.name.startswith("_") or is_of_model:
                raise OperatorError(f"{self._path}: {parameter.name} is a reserved name. Rename the parameter.")
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (parameter.annotation, default)
        return create_model(self.name, __config__=ConfigDict(extra="forbid"), **fields)

    @cached_property
    def returns_sources(self) -> bool:
        """True if it returns a `Source` or several."""
        return self.returns(Source)

    def returns(self, *types: type) -> bool:
        """Return True if it returns a value of these types, or several of them."""
        returned = self.signature.return_annotation
        return any(isinstance(type_, type) and issubclass(type_, types) for type_ in (returned, *_types_in(returned)))

    @property
    def result_type(self) -> Any:
        """Type of the result; `inspect.Signature.empty` without an annotation."""
        return self.signature.return_annotation

    @property
    def query_parameter(self) -> str:
        """Name of the only required parameter: the query.

        Raises:
            OperatorError: There is not exactly one, or it does not return `Source`.
        """
        fields = self.arguments.model_fields.items()
        required = [field.alias or name for name, field in fields if field.is_required()]
        if len(required) != 1 or not self.returns_sources:
            message = "a retrieval function takes one required text, the query, and returns Sequence[Source]."
            raise OperatorError(f"{self._path}: {message}")
        return required[0]

    @cached_property
    def schema(self) -> ToolSchema:
        """Schema for the model.

        Raises:
            OperatorError: A parameter has no type, or one without a JSON schema.
        """
        try:
            schema = self.arguments.model_json_schema(schema_generator=UntitledSchema)
        except TYPE_ERRORS as error:
            fault = str(error).partition("\n")[0].rstrip(".")
            raise OperatorError(f"{self._path}: {fault}. {TYPE_ADVICE}") from error
        del schema["title"]  # the name
        return ToolSchema(self.name, self.description, schema)

    def add_to(self, app: FastAPI) -> APIRoute:
        """Add the route for `request` to an application."""
        endpoint = make_endpoint(self.function, self.dependencies, self.result_type)
        app.add_api_route(f"/{self.name}", endpoint, methods=["POST"])
        route = app.routes[-1]
        assert isinstance(route, APIRoute)
        return route

    def parse(self, arguments: str) -> BaseModel:
        """Parse the JSON written by the model.

        Raises:
            ValidationError: It does not follow the schema.
        """
        return self.arguments.model_validate_json((arguments or "{}").encode(errors="replace"))

    def request(self, arguments: BaseModel) -> ToolRequest:
        """Return the request of a call. The route reads the arguments from `request.state.tool_arguments`."""
        del arguments
        return ToolRequest("POST", f"/{self.name}", b"", b"")


def tool(
    function: Function | Tool,
    *,
    name: str = "",
    status: str = "",
    asks: bool | None = None,
    max_seconds: float | None = None,
    on_request: bool | None = None,
) -> Tool:
    """Create a tool with options, for `Feature(tools=[...])`, which also accepts plain functions.

    Example:
        tool(create_todo, status="Adding a to-do", asks=False)

    Args:
        function: Async function with types and a docstring, or a tool, which keeps the options that are None or "".
        name: Name for the model. By default that of the function.
        status: Description for users while it runs. By default the first line of the docstring.
        asks: True if the user must approve each call. By default, if it has a `WriteSession`, `DatabaseDependency` or
            `JobContext`; set it to False if it only reads from the database.
        max_seconds: Maximum duration of a call. By default, or with 0, 30 seconds, or an hour for a job.
        on_request: True if only answers that name it offer it: `answers.ask(…, tools=["*", "create_todo"])`.

    Raises:
        OperatorError: It is not an async function with a docstring.
    """
    if isinstance(function, Tool):
        options: dict[str, Any] = {"name": name or None, "status": status or None}
        options |= {"asks": asks, "max_seconds": max_seconds, "on_request": on_request}
        changes = {option: value for option, value in options.items() if value is not None}
        return replace(function, **changes) if changes else function
    summary = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
    name = name or getattr(function, "__name__", "")
    return Tool(function, name, status or summary, asks, max_seconds, on_request=bool(on_request))


def tools_of(declared: Sequence[Function | Tool]) -> dict[str, Tool]:
    """Return tools by name.

    Raises:
        OperatorError: Two tools have the same name, or one is invalid.
    """
    tools: dict[str, Tool] = {}
    for new_tool in map(tool, declared):
        other = tools.get(new_tool.name)
        if other and other.function is not new_tool.function:
            raise OperatorError(f"There are two tools {new_tool.name}: {other._path} and {new_tool._path}. Rename one.")
        tools[new_tool.name] = new_tool
    return tools


def _types_in(annotation: Any) -> Iterator[Any]:
    for type_ in get_args(annotation):
        yield type_
        yield from _types_in(type_)
