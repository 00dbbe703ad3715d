"""Resources of the site for clients of the protocol: data by URI."""

from typing import Any

from mcp import MCPError, UriTemplate, types
from mcp.server.context import ServerRequestContext as Context

from opportune.contrib.mcp.server.caller import Caller
from opportune.contrib.mcp.server.calls import run_call
from opportune.contrib.mcp.server.contents import resource_contents, select_page


def resource_handlers(caller: Caller) -> dict[str, Any]:
    offers = caller.offers
    if not offers.uris:
        return {}

    def allowed_uris(*, templates: bool) -> list[str]:
        names = caller.allowed(offers.resources)
        return [uri for uri, name in offers.uris.items() if name in names and UriTemplate.is_template(uri) is templates]

    async def list_resources(
        _context: Context[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        uris, cursor = select_page(allowed_uris(templates=False), params)
        resources = [types.Resource(uri=uri, **describe(uri)) for uri in uris]
        return types.ListResourcesResult(resources=resources, next_cursor=cursor)

    async def list_templates(
        _context: Context[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        uris, cursor = select_page(allowed_uris(templates=True), params)
        templates = [types.ResourceTemplate(uri_template=uri, **describe(uri)) for uri in uris]
        return types.ListResourceTemplatesResult(resource_templates=templates, next_cursor=cursor)

    def describe(uri: str) -> dict[str, Any]:
        resource = offers.resources.tools[offers.uris[uri]]
        return {"name": resource.name, "title": resource.status, "description": resource.description}

    async def read_resource(context: Context[Any], params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        for uri, name in offers.uris.items():
            if (arguments := UriTemplate.parse(uri).match(params.uri)) is not None:
                result = await run_call(context, caller, offers.resources, name, arguments)
                return types.ReadResourceResult(contents=[resource_contents(params.uri, result)])
        raise MCPError(types.INVALID_PARAMS, f"There is no resource {params.uri}.", {"uri": params.uri})

    return {
        "on_list_resources": list_resources,
        "on_list_resource_templates": list_templates,
        "on_read_resource": read_resource,
    }
