"""Results of tools as data, which follows their output schema."""

import inspect
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import FloatSchema

from opportune.contrib.llm.providers.provider import Message, Picture
from opportune.contrib.tools import Tool
from opportune.contrib.tools.results import ToolResult

MESSAGE_TYPES = Message, Picture
"""Types of results that are several contents, such as texts and pictures, instead of data."""
RESULT = "result"
"""Key of results that are not objects, which the protocol requires."""


class JsonOutput(GenerateJsonSchema):
    """JSON Schema of serialized results, in which NaN and infinity are null."""

    def float_schema(self, schema: FloatSchema) -> JsonSchemaValue:
        return super().float_schema(schema) | {"type": ["number", "null"]}


class OutputSchema(NamedTuple):
    schema: dict[str, Any]
    is_wrapped: bool = False


@cache
def output_schema(tool: Tool) -> OutputSchema | None:
    """Return the JSON Schema of a tool's result, or None without a usable return type."""
    if tool.result_type is inspect.Signature.empty or tool.returns(*MESSAGE_TYPES):
        return None
    try:
        schema = TypeAdapter(tool.result_type).json_schema(mode="serialization", schema_generator=JsonOutput)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return None
    if schema.get("type") == "object":
        return OutputSchema(schema)
    definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
    wrapped = {"type": "object", "properties": {RESULT: schema}, "required": [RESULT], **definitions}
    return OutputSchema(wrapped, is_wrapped=True)


def structured_content(tool: Tool, result: ToolResult) -> dict[str, Any] | None:
    """Return a result in the form of the output schema, or None for errors and tools without a schema."""
    output = None if result.is_error else output_schema(tool)
    if output is None:
        return None
    return {RESULT: result.data} if output.is_wrapped else result.data
