"""A tool that is no function of the site's: somebody else describes it and runs it."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, create_model

from opportune.llm.providers.provider import ToolSchema
from opportune.llm.tools.tool import Tool


class ServerFailed(HTTPException):
    """What a server of others did not do, in words that the model reads."""

    def __init__(self, words: str) -> None:
        super().__init__(424, words)


@dataclass(frozen=True, eq=False)
class RemoteTool(Tool):
    """It takes whatever object the model makes by its schema: its server looks whether that is right."""

    told: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)

    @property
    def description(self) -> str:
        return self.told

    @cached_property
    def signature(self) -> inspect.Signature:
        return inspect.Signature()

    @cached_property
    def arguments(self) -> type[BaseModel]:
        return create_model(self.name, __config__=ConfigDict(extra="allow"))

    @cached_property
    def schema(self) -> ToolSchema:
        return ToolSchema(self.name, self.description, self.parameters)
