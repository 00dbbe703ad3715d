"""Prompts of the site for clients of the protocol, which their users select."""

from collections.abc import Iterator
from typing import Any, Literal

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext as Context

from opportune.contrib.mcp.server.caller import Caller
from opportune.contrib.mcp.server.contents import require_success, select_page
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

    async def get_prompt(_context: Context[Any], params: types.GetPromptRequestParams) -> types.GetPromptResult:
        if params.name not in toolbox.tools:
            raise MCPError(types.INVALID_PARAMS, f"There is no prompt {params.name}.")
        result = await caller.call(toolbox, params.name, params.arguments or {})
        require_success(result)
        return types.GetPromptResult(
            description=toolbox.tools[params.name].description, messages=[*_read_messages(result.data)]
        )

    return {"on_list_prompts": list_prompts, "on_get_prompt": get_prompt}


def _describe(prompt: Tool) -> types.Prompt:
    arguments = [
        types.PromptArgument(name=name, description=field.description, required=field.is_required())
        for name, field in prompt.arguments.model_fields.items()
    ]
    return types.Prompt(name=prompt.name, title=prompt.status, description=prompt.description, arguments=arguments)


def _read_messages(data: Any) -> Iterator[types.PromptMessage]:
    """Yield the messages of a prompt: one text, or a list of texts and `Message`s, each with its pictures."""
    for message in data if isinstance(data, list) else [data]:
        fields = message if isinstance(message, dict) else {"content": message}
        role: Literal["assistant", "user"] = "assistant" if fields.get("role") == "assistant" else "user"
        pictures = ((picture["content"], picture["content_type"]) for picture in fields.get("pictures", ()))
        images = (types.ImageContent(type="image", data=data, mime_type=type_) for data, type_ in pictures)
        for content in (types.TextContent(type="text", text=str(fields["content"])), *images):
            yield types.PromptMessage(role=role, content=content)
