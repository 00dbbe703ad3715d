"""Tools that are described and run by another server."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, create_model

from opportune.contrib.llm.providers.provider import ToolSchema
from opportune.contrib.tools.declaration import Tool


class ServerFailed(HTTPException):
    """Failure of another server. The message is sent to the language model."""

    def __init__(self, message: str) -> None:
        super().__init__(424, message)


@dataclass(frozen=True, eq=False)
class RemoteTool(Tool):
    """Tool of another MCP server. That server validates the arguments, so none are declared here."""

    remote_description: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)

    @property
    def description(self) -> str:
        return self.remote_description

    @cached_property
    def signature(self) -> inspect.Signature:
        return inspect.Signature()

    @cached_property
    def arguments(self) -> type[BaseModel]:
        return create_model(self.name, __config__=ConfigDict(extra="allow"))

    @cached_property
    def schema(self) -> ToolSchema:
        return ToolSchema(self.name, self.description, self.parameters)
