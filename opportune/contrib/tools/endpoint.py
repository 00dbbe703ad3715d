"""Functions of the routes of tools, and dependencies that only tools have."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any, cast, get_args, get_origin

from fastapi import Depends, params
from pydantic import BaseModel
from starlette.requests import HTTPConnection, Request

from opportune.jobs import JobContext

Function = Callable[..., Awaitable[Any]]


def make_endpoint(function: Function, dependencies: Iterable[Parameter], result_type: Any) -> Any:
    """Create the function of a route: FastAPI resolves its dependencies, and the arguments are already parsed."""

    async def call(tool_arguments: BaseModel, **resolved: Any) -> Any:
        return await function(**dict(tool_arguments), **resolved)

    body = Parameter("tool_arguments", Parameter.KEYWORD_ONLY, annotation=Annotated[Any, Depends(_parsed_arguments)])
    call.__module__ = function.__module__  # determines the feature
    call.__signature__ = Signature(  # type: ignore[attr-defined]
        [body, *map(_as_keyword, dependencies)], return_annotation=result_type
    )
    return call


def _as_keyword(parameter: Parameter) -> Parameter:
    type_ = Annotated[Any, Depends(job_context)] if parameter.annotation is JobContext else parameter.annotation
    return parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=type_)


def is_dependency(parameter: Parameter) -> bool:
    """Return True for a parameter that FastAPI resolves, as in a route."""
    if isinstance(parameter.default, params.Depends) or parameter.annotation is JobContext:
        return True
    type_ = parameter.annotation
    if get_origin(type_) is Annotated:
        return any(isinstance(metadata, params.Depends) for metadata in get_args(type_)[1:])
    return isinstance(type_, type) and issubclass(type_, HTTPConnection)


async def _parsed_arguments(request: Request) -> Any:
    return request.state.tool_arguments


async def job_context(request: Request) -> Any:
    """Return the `JobContext` of a call that runs as a job."""
    return request.state.job_context


async def _tool_parts(request: Request) -> Sequence[str] | None:
    return cast("Sequence[str] | None", request.state.tool_parts)


ToolParts = Annotated[Sequence[str] | None, Depends(_tool_parts)]
"""Parts, such as collections of documents, to which the answer limits a tool. None for all."""
