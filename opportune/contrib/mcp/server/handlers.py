"""Handlers of the protocol's requests: tools, resources and prompts of the site, and completion of arguments."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from mcp import MCPError, UriTemplate, types
from mcp.server.context import ServerRequestContext

from opportune.contrib.mcp.server import contents
from opportune.contrib.mcp.server.arguments import choices_of, describe_prompt, read_arguments
from opportune.contrib.mcp.server.calls import run_call
from opportune.contrib.mcp.server.message import Caller
from opportune.contrib.mcp.server.offers import VALUE
from opportune.contrib.tools import Tool, ToolResult
from opportune.contrib.tools.toolbox import Toolbox

Context = ServerRequestContext[Any]
Page = types.PaginatedRequestParams | None
T = TypeVar("T")

MAX_VALUES = 100
"""Limit of the protocol for completions, and ours for links in a result."""
MAX_ITEMS_PER_PAGE = 100
MAX_SCHEME_LENGTH = 30

_parse_template = cache(UriTemplate.parse)


class Selected(NamedTuple, Generic[T]):
    """Items of a page of a list."""

    items: list[T]
    next_cursor: str | None


class Handlers:
    """Handlers of the message of one caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._offers = caller.offers

    def by_name(self) -> dict[str, Any]:
        """Return the handlers of what the site has, by the names of the SDK."""
        handlers: dict[str, Any] = {"on_list_tools": self.list_tools, "on_call_tool": self.call_tool}
        if self._offers.uris:
            handlers |= {"on_list_resources": self.list_resources, "on_read_resource": self.read_resource}
            handlers["on_list_resource_templates"] = self.list_templates
        if self._offers.prompts:
            handlers |= {"on_list_prompts": self.list_prompts, "on_get_prompt": self.get_prompt}
        if self._offers.uris or self._offers.prompts:
            handlers["on_completion"] = self.complete
        return handlers

    def _allowed(self, toolbox: Toolbox, params: Page) -> Selected[Tool]:
        return _select_page([*self._caller.allowed(toolbox).values()], params)

    async def list_tools(self, _context: Context, params: Page) -> types.ListToolsResult:
        selected = self._allowed(self._caller.toolbox, params)
        tools = [_describe_tool(tool, changes=self._caller.toolbox.changes(tool.name)) for tool in selected.items]
        return types.ListToolsResult(tools=tools, next_cursor=selected.next_cursor)

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = self._caller.toolbox.tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name}.")
        result = await run_call(context, self._caller, self._caller.toolbox, params.name, params.arguments or {})
        return types.CallToolResult(
            content=[*contents.tool_contents(tool, result), *self._links_in(result)],
            structured_content=contents.structured_content(tool, result),
            is_error=result.is_error,
        )

    def _links_in(self, result: ToolResult) -> list[types.ResourceLink]:
        """Return links to the resources whose URIs are values in a result."""
        names = self._caller.allowed(self._offers.resources)
        links = []
        for text in islice(dict.fromkeys(_texts_in(result.data)), MAX_VALUES):
            uri, _ = self._match(text)
            if self._offers.uris.get(uri) in names:
                links.append(types.ResourceLink(uri=text, **self._describe_resource(uri)))
        return links

    async def list_resources(self, _context: Context, params: Page) -> types.ListResourcesResult:
        selected = self._allowed_uris(params, templates=False)
        resources = [types.Resource(uri=uri, **self._describe_resource(uri)) for uri in selected.items]
        return types.ListResourcesResult(resources=resources, next_cursor=selected.next_cursor)

    async def list_templates(self, _context: Context, params: Page) -> types.ListResourceTemplatesResult:
        selected = self._allowed_uris(params, templates=True)
        templates = [types.ResourceTemplate(uri_template=uri, **self._describe_resource(uri)) for uri in selected.items]
        return types.ListResourceTemplatesResult(resource_templates=templates, next_cursor=selected.next_cursor)

    def _allowed_uris(self, params: Page, *, templates: bool) -> Selected[str]:
        names = self._caller.allowed(self._offers.resources)
        allowed = [uri for uri, name in self._offers.uris.items() if name in names]
        return _select_page([uri for uri in allowed if UriTemplate.is_template(uri) is templates], params)

    def _describe_resource(self, uri: str) -> dict[str, Any]:
        resource = self._offers.resources.tools[self._offers.uris[uri]]
        return {"name": resource.name, "title": resource.status, "description": resource.description}

    def _match(self, text: str) -> tuple[str, Mapping[str, Any]]:
        """Return the first URI or URI template that matches a URI, and its arguments; empty without such a resource."""
        matches = ((uri, _parse_template(uri).match(text)) for uri in self._offers.uris)
        return next(((uri, arguments) for uri, arguments in matches if arguments is not None), ("", {}))

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        uri, arguments = self._match(params.uri)
        if not uri:
            raise MCPError(types.INVALID_PARAMS, f"There is no resource {params.uri}.", {"uri": params.uri})
        name = self._offers.uris[uri]
        arguments = read_arguments(self._offers.resources.tools[name], arguments)
        result = await run_call(context, self._caller, self._offers.resources, name, arguments)
        return types.ReadResourceResult(contents=[contents.resource_contents(params.uri, result)])

    async def list_prompts(self, _context: Context, params: Page) -> types.ListPromptsResult:
        selected = self._allowed(self._offers.prompts, params)
        prompts = [*map(describe_prompt, selected.items)]
        return types.ListPromptsResult(prompts=prompts, next_cursor=selected.next_cursor)

    async def get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        prompt = self._offers.prompts.tools.get(params.name)
        if prompt is None:
            raise MCPError(types.INVALID_PARAMS, f"There is no prompt {params.name}.")
        arguments = read_arguments(prompt, params.arguments or {})
        result = await run_call(context, self._caller, self._offers.prompts, params.name, arguments)
        contents.require_success(result)
        if result.is_file:
            messages = [types.PromptMessage(role="user", content=contents.text_or_file(params.name, result))]
        else:
            parts = contents.message_contents(result.data)
            messages = [types.PromptMessage(role=role, content=content) for role, content in parts]
        return types.GetPromptResult(description=prompt.description, messages=messages)

    async def complete(self, _context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        declared = self._find_declared(params.ref)
        if declared is None or params.argument.name not in declared.arguments.model_fields:
            raise MCPError(types.INVALID_PARAMS, "There is no such resource, prompt or argument.")
        known = params.context.arguments if params.context else None
        values = await self._find_values(declared, params.argument, known or {})
        first = [*values[:MAX_VALUES]]
        has_more = len(values) > MAX_VALUES
        return types.CompleteResult(completion=types.Completion(values=first, total=len(values), has_more=has_more))

    def _find_declared(self, ref: types.PromptReference | types.ResourceTemplateReference) -> Tool | None:
        if isinstance(ref, types.PromptReference):
            return self._caller.allowed(self._offers.prompts).get(ref.name)
        return self._caller.allowed(self._offers.resources).get(self._offers.uris.get(ref.uri, ""))

    async def _find_values(
        self, declared: Tool, argument: types.CompletionArgument, known: Mapping[str, str]
    ) -> Sequence[str]:
        name = self._offers.suggested.get((declared.function, argument.name))
        if name is None:
            return [choice for choice in choices_of(declared, argument.name) if choice.startswith(argument.value)]
        fields = self._offers.completions.tools[name].arguments.model_fields
        arguments = {key: value for key, value in known.items() if key in fields}
        result = await self._caller.call(self._offers.completions, name, arguments | {VALUE: argument.value})
        contents.require_success(result)
        return [*map(str, result.data or ())]


def _select_page(items: Sequence[T], params: Page) -> Selected[T]:
    """Return the requested page.

    Raises:
        MCPError: The cursor is not one of this list.
    """
    cursors = [str(start) for start in range(MAX_ITEMS_PER_PAGE, len(items), MAX_ITEMS_PER_PAGE)]
    cursor = params.cursor if params else None
    if cursor is not None and cursor not in cursors:
        raise MCPError(types.INVALID_PARAMS, "This cursor is not valid. List from the start.")
    start = int(cursor or 0)
    end = start + MAX_ITEMS_PER_PAGE
    return Selected([*items[start:end]], str(end) if end < len(items) else None)


def _texts_in(data: object) -> Iterator[str]:
    if isinstance(data, list | dict):
        for value in data.values() if isinstance(data, dict) else data:
            yield from _texts_in(value)
    elif isinstance(data, str) and "://" in data[:MAX_SCHEME_LENGTH]:
        yield data


def _describe_tool(tool: Tool, *, changes: bool) -> types.Tool:
    output = contents.output_schema(tool)
    return types.Tool(
        name=tool.name,
        title=tool.status,
        description=tool.description,
        input_schema=dict(tool.schema.parameters),
        output_schema=output.schema if output else None,
        annotations=types.ToolAnnotations(read_only_hint=not changes),
    )
