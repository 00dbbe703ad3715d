"""A site without routes, for tools in processes that only run jobs."""

from fastapi import FastAPI

from opportune.admin.declared_permissions import DeclaredPermissions
from opportune.services import Services


def site_for_tools(services: Services) -> FastAPI:
    """Return an application whose `state` has the services of the process, as that of the site."""
    site = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    services.add_to(site.state)
    site.state.services = services
    site.state.jobs = services.database.info["jobs"]
    site.state.declared_permissions = DeclaredPermissions(services.features)
    return site
