"""Toolboxes of a site, created on first use, and the site of a process that only runs jobs."""

from collections.abc import Sequence
from itertools import chain
from typing import cast

from fastapi import FastAPI

from opportune.admin.declared_permissions import DeclaredPermissions
from opportune.contrib.tools.declaration import Tool
from opportune.contrib.tools.toolbox import Toolbox
from opportune.services import Services


def toolbox_of(site: FastAPI) -> Toolbox:
    """Return the tools of the site's features, created on first use."""
    if not hasattr(site.state, "toolbox"):
        site.state.toolbox = Toolbox(site, [tool for feature in site.state.features for tool in feature.llm.tools])
    return cast("Toolbox", site.state.toolbox)


def offer(site: FastAPI, by: str, tools: Sequence[Tool]) -> None:
    """Add tools for answers, replacing earlier ones with the same `by`. Tools of features keep their names."""
    site.state.offered_tools = getattr(site.state, "offered_tools", {}) | {by: tools}
    merged = dict(toolbox_of(site).tools)
    for tool in chain.from_iterable(site.state.offered_tools.values()):
        merged.setdefault(tool.name, tool)
    site.state.full_toolbox = Toolbox(site, [*merged.values()])


def full_toolbox_of(site: FastAPI) -> Toolbox:
    """Return the tools for answers: those of features, the web search, and those of MCP servers in the settings."""
    return cast("Toolbox", getattr(site.state, "full_toolbox", None) or toolbox_of(site))


def retrieval_of(site: FastAPI) -> Toolbox:
    """Return the search functions of features, called before a model that cannot call tools."""
    if not hasattr(site.state, "retrieval"):
        declared = [tool for feature in site.state.features for tool in feature.llm.retrieval]
        site.state.retrieval = Toolbox(site, declared)
    return cast("Toolbox", site.state.retrieval)


def site_for_tools(services: Services) -> FastAPI:
    """Return an application without routes, whose `state` has the services of a process that only runs jobs."""
    site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    services.add_to(site.state)
    site.state.services = services
    site.state.jobs = services.database.info["jobs"]
    site.state.declared_permissions = DeclaredPermissions(services.features)
    return site
