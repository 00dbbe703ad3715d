"""Prompts of the site for clients of the protocol, which their users select."""

from collections.abc import Mapping
from typing import Any

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext as Context

from opportune.contrib.llm.providers.loose_json import json_in
from opportune.contrib.mcp.server.caller import Caller
from opportune.contrib.mcp.server.calls import run_call
from opportune.contrib.mcp.server.contents import content_of, message_contents, require_success, select_page
from opportune.contrib.tools.declaration import Tool


def prompt_handlers(caller: Caller) -> dict[str, Any]:
    toolbox = caller.offers.prompts
    if not toolbox:
        return {}

    async def list_prompts(
        _context: Context[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        prompts, cursor = select_page([*caller.allowed(toolbox).values()], params)
        return types.ListPromptsResult(prompts=[*map(_describe, prompts)], next_cursor=cursor)

    async def get_prompt(context: Context[Any], params: types.GetPromptRequestParams) -> types.GetPromptResult:
        if params.name not in toolbox.tools:
            raise MCPError(types.INVALID_PARAMS, f"There is no prompt {params.name}.")
        prompt = toolbox.tools[params.name]
        result = await run_call(context, caller, toolbox, params.name, _read_lists(prompt, params.arguments or {}))
        require_success(result)
        contents = [("user", content_of(params.name, result))] if result.is_file else message_contents(result.data)
        messages = [types.PromptMessage(role=role, content=content) for role, content in contents]
        return types.GetPromptResult(description=prompt.description, messages=messages)

    return {"on_list_prompts": list_prompts, "on_get_prompt": get_prompt}


def _read_lists(prompt: Tool, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Read lists and objects from JSON, because the protocol sends each argument of a prompt as text."""
    properties: Any = prompt.schema.parameters["properties"]
    types_ = {name: properties.get(name, {}).get("type") for name in arguments}
    return {name: json_in(text) if types_[name] in ("array", "object") else text for name, text in arguments.items()}


def _describe(prompt: Tool) -> types.Prompt:
    arguments = [
        types.PromptArgument(name=name, description=field.description, required=field.is_required())
        for name, field in prompt.arguments.model_fields.items()
    ]
    return types.Prompt(name=prompt.name, title=prompt.status, description=prompt.description, arguments=arguments)
