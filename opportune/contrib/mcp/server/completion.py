"""Completion of arguments of resources and prompts while the user types."""

from collections.abc import Mapping, Sequence
from typing import Any

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext as Context

from opportune.contrib.mcp.server.caller import Caller
from opportune.contrib.mcp.server.contents import require_success
from opportune.contrib.mcp.server.offers import VALUE
from opportune.contrib.tools.declaration import Tool

MAX_VALUES = 100
"""Limit of the protocol."""


def completion_handlers(caller: Caller) -> dict[str, Any]:
    offers = caller.offers
    if not (offers.uris or offers.prompts):
        return {}

    async def complete(_context: Context[Any], params: types.CompleteRequestParams) -> types.CompleteResult:
        declared = find_declared(params.ref)
        if declared is None or params.argument.name not in declared.arguments.model_fields:
            raise MCPError(types.INVALID_PARAMS, "There is no such resource, prompt or argument.")
        known = params.context.arguments if params.context else None
        values = await find_values(declared, params.argument, known or {})
        completion = types.Completion(
            values=[*values[:MAX_VALUES]], total=len(values), has_more=len(values) > MAX_VALUES
        )
        return types.CompleteResult(completion=completion)

    def find_declared(ref: types.PromptReference | types.ResourceTemplateReference) -> Tool | None:
        if isinstance(ref, types.PromptReference):
            return caller.allowed(offers.prompts).get(ref.name)
        return caller.allowed(offers.resources).get(offers.uris.get(ref.uri, ""))

    async def find_values(
        declared: Tool, argument: types.CompletionArgument, known: Mapping[str, str]
    ) -> Sequence[str]:
        name = offers.suggested.get((declared.function, argument.name))
        if name is None:
            return [choice for choice in _choices(declared, argument.name) if choice.startswith(argument.value)]
        fields = offers.completions.tools[name].arguments.model_fields
        arguments = {key: value for key, value in known.items() if key in fields}
        result = await caller.call(offers.completions, name, arguments | {VALUE: argument.value})
        require_success(result)
        return [*map(str, result.data or ())]

    return {"on_completion": complete}


def _choices(declared: Tool, argument: str) -> list[str]:
    """Return the values of an argument whose type is a `Literal`, an enum or a bool."""
    parameters: Any = declared.schema.parameters
    schema = parameters["properties"][argument]
    if "$ref" in schema:  # an enum
        schema = parameters["$defs"][schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "boolean":
        return ["true", "false"]
    return [*map(str, schema.get("enum", ()))]
