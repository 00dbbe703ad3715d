"""Routes of `CrudPages`: their paths, permissions and endpoints."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Request, Response

from opportune.crud import routes
from opportune.crud.crud import Crud
from opportune.crud.options import Key, Permission
from opportune.crud.replaceable_routes import ReplaceableRoutes

PageMethod = Callable[..., Awaitable[Response]]
"""Method of `CrudPages` that responds to a request. It receives the data layer, and the key of a row."""


class PageRoute(NamedTuple):
    """Route of a page. A POST writes."""

    method: Literal["GET", "POST"]
    path: str
    action: str
    """Permission that it needs. Empty if the page checks it itself."""


ROUTES: Mapping[str, PageRoute] = {
    "list": PageRoute("GET", "", "list"),
    "create_form": PageRoute("GET", "/new", "create"),
    "create": PageRoute("POST", "/new", "create"),
    "choices": PageRoute("GET", "/new/choices", ""),
    "get": PageRoute("GET", "/{key}", "get"),
    "update_form": PageRoute("GET", "/{key}/edit", "update"),
    "update": PageRoute("POST", "/{key}/edit", "update"),
    "delete_form": PageRoute("GET", "/{key}/delete", "delete"),
    "delete": PageRoute("POST", "/{key}/delete", "delete"),
    "restore": PageRoute("POST", "/{key}/restore", "delete"),
}
"""Routes by the method of `CrudPages` that responds to them."""
LEFT_OUT_WITH = {"create_form": "create", "update_form": "update", "delete_form": "delete", "restore": "delete"}
"""Routes that `without` leaves out together with another one."""


def page_router(crud_class: type[Crud[Any]], prefix: str, label: str, methods: Mapping[str, PageMethod]) -> APIRouter:
    """Return the router of pages.

    Args:
        crud_class: The data layer that the methods receive.
        prefix: URL of the list, such as `/books`.
        label: Prefix of the names of the routes, such as `BookPages`.
        methods: Methods by the names of their routes.
    """
    router = ReplaceableRoutes(prefix=prefix)
    for name, method in methods.items():
        route = ROUTES[name]
        path = route.path.replace("{key}", f"{{{routes.path_parameter_name(crud_class)}}}")
        endpoint = _make_endpoint(crud_class, route, method)
        router.add_api_route(path, endpoint, methods=[route.method], name=f"{label}.{name}")
    router.complete()
    return router


def _make_endpoint(crud_class: Any, route: PageRoute, method: PageMethod) -> Any:
    depends_on = routes.reading if route.method == "GET" else routes.writing
    is_open = crud_class.definition.write_permission is Permission.ANYONE
    dependency = depends_on(crud_class, route.action or ("create" if is_open else ""))  # choices of an open form

    async def list_route(request: Request, crud: Annotated[Any, dependency]) -> Response:
        return await method(request, crud)

    async def row_route(request: Request, crud: Annotated[Any, dependency], key: Key) -> Response:
        return await method(request, crud, key)

    if "{key}" in route.path:
        return routes.set_route_types(crud_class, row_route, key=routes.path_parameter_type(crud_class))
    return routes.set_route_types(crud_class, list_route)
