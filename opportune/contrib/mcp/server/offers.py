"""Resources and prompts that features declare, run like tools with the permissions of the user."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from fastapi import FastAPI

from opportune.contrib.tools.declaration import Tool, tool
from opportune.contrib.tools.endpoint import Function
from opportune.contrib.tools.toolbox import Toolbox
from opportune.errors import OperatorError

VARIABLE = re.compile(r"\{[+#./;?&]?([^}]+)\}")
VALUE = "value"
"""Argument of a completion: the text that the user has typed."""


class Offers(NamedTuple):
    """Resources and prompts of a site.

    Attributes:
        uris: Name of the function that reads a resource, by URI or URI template.
        suggested: Name of the completion of an argument, by function and argument.
    """

    resources: Toolbox
    prompts: Toolbox
    completions: Toolbox
    uris: Mapping[str, str]
    suggested: Mapping[tuple[Function, str], str]

    def require_valid(self) -> None:
        """Check all functions now instead of at the first request.

        Raises:
            OperatorError: A function changes data, or its arguments do not match the URI or the completion.
        """
        for toolbox in (self.resources, self.prompts, self.completions):
            toolbox.require_valid_tools()
            for name in toolbox.tools:
                if toolbox.changes(name):
                    raise OperatorError(f"The function {name} changes data, so it must be a tool: Llm(tools=…).")
        for uri, name in self.uris.items():
            _require_arguments(self.resources.tools[name], uri)
        for completion in self.completions.tools.values():
            if VALUE not in completion.arguments.model_fields:
                raise OperatorError(f"The completion {completion.function.__name__} needs the argument {VALUE}.")


def _require_arguments(resource: Tool, uri: str) -> None:
    variables = {name for names in VARIABLE.findall(uri) for name in names.replace("*", "").split(",")}
    fields = resource.arguments.model_fields
    required = {name for name, field in fields.items() if field.is_required()}
    if wrong := sorted((variables - fields.keys()) | (required - variables)):
        raise OperatorError(f"The resource {uri} and the arguments of {resource.name} differ: {', '.join(wrong)}.")


def offers_of(site: FastAPI) -> Offers:
    """Return the resources and prompts of the site's features, created on first use."""
    if not hasattr(site.state, "mcp_offers"):
        site.state.mcp_offers = _create_offers(site)
    return cast("Offers", site.state.mcp_offers)


def _create_offers(site: FastAPI) -> Offers:
    resources: dict[str, Tool] = {}
    prompts: list[Tool] = []
    completions: list[Tool] = []
    suggested: dict[tuple[Any, str], str] = {}
    for feature in site.state.features:
        resources |= {uri: tool(function) for uri, function in feature.llm.resources.items()}
        prompts += map(tool, feature.llm.prompts)
        for argument, function in feature.llm.completions.items():
            completion = tool(function, name=f"{feature.name}_{argument}")
            completions.append(completion)
            for declared in map(tool, (*feature.llm.resources.values(), *feature.llm.prompts)):
                suggested[declared.function, argument] = completion.name
    return Offers(
        Toolbox(site, [*resources.values()]),
        Toolbox(site, prompts),
        Toolbox(site, completions),
        {uri: resource.name for uri, resource in resources.items()},
        suggested,
    )
