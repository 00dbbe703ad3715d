"""Output schemas of tools, and structured results that match them."""

import inspect
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from opportune.contrib.tools.declaration import Tool
from opportune.contrib.tools.toolbox import ToolResult

RESULT = "result"
"""Key of results that are not objects, which the protocol requires."""


def output_schema(tool: Tool) -> dict[str, Any] | None:
    """Return the JSON Schema of a tool's result, or None without a usable return type."""
    if tool.result_type is inspect.Signature.empty:
        return None
    try:
        schema = TypeAdapter(tool.result_type).json_schema(mode="serialization")
    except (PydanticSchemaGenerationError, PydanticUserError):
        return None
    if schema.get("type") == "object":
        return schema
    definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
    return {"type": "object", "properties": {RESULT: schema}, "required": [RESULT], **definitions}


def structured_content(tool: Tool | None, result: ToolResult) -> dict[str, Any] | None:
    """Return a result in the form of the output schema, or None for errors and tools without a schema."""
    schema = output_schema(tool) if tool and not result.is_error else None
    if schema is None:
        return None
    is_object = isinstance(result.data, dict) and [*schema.get("properties", ())] != [RESULT]
    return result.data if is_object else {RESULT: result.data}
