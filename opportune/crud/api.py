"""JSON API of the rows of a model: `router = CrudApi(Books, "/books").router`."""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ValidatorFunctionWrapHandler, WrapValidator
from starlette.status import HTTP_201_CREATED

from opportune.crud import routes
from opportune.crud.crud import Crud
from opportune.crud.options import Key
from opportune.crud.queries import describe_parameters, validate_query
from opportune.crud.query_schema import LANGUAGES, Languages
from opportune.crud.replaceable_routes import ReplaceableRoutes
from opportune.crud.row_reading import has_id, load_row
from opportune.db.models.model import Model
from opportune.errors import OperatorError, renamed_names
from opportune.errors.arguments import strict
from opportune.errors.option_names import refuse_wrong_options
from opportune.i18n import current_language
from opportune.pagination import Page, Paging
from opportune.web.errors.openapi import error_responses

M = TypeVar("M", bound=Model)


class ApiRoute(NamedTuple):
    """Route of the API. A GET only reads."""

    method: str
    path: str
    status: int
    """Status of the response."""
    refusals: Sequence[int]
    """Statuses of errors. The OpenAPI document adds those of missing permissions."""


ROUTES: Mapping[str, ApiRoute] = {
    "list": ApiRoute("GET", "", 200, [422]),
    "create": ApiRoute("POST", "", 201, [422]),
    "get": ApiRoute("GET", "/{key}", 200, [404]),
    "update": ApiRoute("PATCH", "/{key}", 200, [404, 422]),
    "delete": ApiRoute("DELETE", "/{key}", 204, [404, 422]),
    "restore": ApiRoute("POST", "/{key}/restore", 200, [404]),
}


@strict
class CrudApi(Generic[M]):
    """Routes that list, get, create, update and delete rows as JSON. Each method can be overridden.

    Routes that you add to `router` come before those of the class.

    Args:
        crud: The data layer, such as `Books`.
        prefix: Path of the routes below the API, such as `/books`.
        without: Routes to leave out, of `list`, `create`, `get`, `update`, `delete` and `restore`.

    Raises:
        OperatorError: `without` names an unknown route.
    """

    without: Collection[str] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_wrong_options(cls, CrudApi, renamed=renamed_names.CRUD_API)

    def __init__(self, crud: type[Crud[M]], prefix: str, *, without: Collection[str] | None = None) -> None:
        crud_class: Any = crud
        self.crud = crud
        self.prefix = prefix
        self._reading = Annotated[crud_class, routes.reading(crud_class)]
        self._writing = Annotated[crud_class, routes.writing(crud_class)]
        self._key = routes.path_parameter_type(crud)
        if without is not None:
            self.without = without
        if unknown := set(self.without) - set(ROUTES):
            advice = "".join(renamed_names.renamed_to(name, renamed_names.CRUD_API) for name in sorted(unknown))
            message = f"without={', '.join(sorted(unknown))} names no route. There are: {', '.join(ROUTES)}.{advice}"
            raise OperatorError(f"{type(self).__name__} of {crud.__name__}: {message}")

    async def list(self, crud: Crud[M], query: Paging) -> Response:
        serializer = crud.serializer
        names = serializer.names
        page: Page[Any] = await (crud.list(query) if serializer.needs_objects else crud.list_values(query, names))
        languages = getattr(query, LANGUAGES, None) if crud.definition.is_translated else None
        return self._make_response(serializer.write_page(page, languages), languages=languages)

    async def create(self, crud: Crud[M], new: BaseModel) -> Response:
        return await self.respond(crud, await crud.create(new), 201)

    async def get(self, crud: Crud[M], key: Key, languages: Languages = None) -> Response:
        serializer = crud.serializer
        row = await (crud.get(key) if serializer.needs_objects else crud.get_values(key, serializer.names))
        return self._make_response(serializer.write_row(row, context=languages), languages=languages)

    async def update(self, crud: Crud[M], key: Key, changes: BaseModel) -> Response:
        return await self.respond(crud, await crud.update(key, changes), 200)

    async def delete(self, crud: Crud[M], key: Key) -> None:
        await crud.delete(key)

    async def purge(self, crud: Crud[M], key: Key) -> None:
        await crud.purge(key)

    async def restore(self, crud: Crud[M], key: Key) -> Response:
        return await self.respond(crud, await crud.restore(key), 200)

    async def respond(self, crud: Crud[M], row: M, status: int) -> Response:
        """Return the response with the stored values of a row that was just written."""
        serializer = crud.serializer
        values: Any = serializer.stored_values(row)
        if values is None and serializer.needs_objects:  # the user may no longer read it
            stored = crud.query().where(has_id(crud.model, str(row.id)))
            values = await load_row(crud, stored.execution_options(populate_existing=True))
        elif values is None:
            values = await crud.get_written(row, serializer.names)
        response = self._make_response(serializer.write_row(values), status)
        if status == HTTP_201_CREATED:
            key = quote(str(getattr(row, self.crud.lookup)), safe="")
            response.headers["Location"] = f"{self.prefix.rpartition('/')[2]}/{key}"  # relative to the list
        return response

    def _make_response(self, content: bytes, status: int = 200, languages: Languages = None) -> Response:
        definition = self.crud.definition
        has_one_language = definition.nests_translations or (definition.is_translated and not languages)
        headers = {"Content-Language": current_language.get()} if has_one_language else None
        return Response(content, status, headers, "application/json")

    @cached_property
    def router(self) -> APIRouter:
        """The routes, for `Feature(api=...)`."""
        owners = self.crud.team_owners()
        # Documents the team's header, which `owners.find` reads.
        describes_team = [Depends(owners.describe)] if owners else []
        router = ReplaceableRoutes(prefix=self.prefix, tags=[self.prefix.strip("/")], dependencies=describes_team)
        parameter = f"{{{routes.path_parameter_name(self.crud)}}}"
        for name, route in ROUTES.items():
            if name not in self.without and (name != "restore" or self.crud.definition.has_trash):
                router.add_api_route(
                    route.path.replace("{key}", parameter),
                    getattr(self, f"_{name}_route")(),
                    methods=[route.method],
                    status_code=route.status,
                    name=name,
                    responses=error_responses(*route.refusals),
                    **self._response_options(name),
                )
        router.complete()
        return router

    def _response_options(self, name: str) -> dict[str, Any]:
        """Return the options of a route that describe its response in OpenAPI."""
        schema: Any = self.crud.Read
        if name == "list":
            parameters = describe_parameters(self.crud.Filter)
            return {"response_model": Page[schema], "openapi_extra": {"parameters": parameters}}
        return {} if name == "delete" else {"response_model": schema}

    def _list_route(self) -> Any:
        async def list_rows(request: Request, crud: Crud[M]) -> Response:
            return await self.list(crud, validate_query(self.crud.Filter, request.query_params))

        return routes.set_route_types(self.crud, list_rows, crud=self._reading)

    def _create_route(self) -> Any:
        async def create(request: Request, crud: Crud[M], new: BaseModel) -> Response:
            return _with_path(request, await self.create(crud, crud.validated(self.crud.Create, new)))

        return routes.set_route_types(self.crud, create, crud=self._writing, new=self._body(self.crud.Create))

    def _get_route(self) -> Any:
        async def get(crud: Crud[M], key: Key) -> Response:
            return await self.get(crud, key)

        async def get_languages(crud: Crud[M], key: Key, languages: Languages = None) -> Response:
            return await self.get(crud, key, languages)

        route = get_languages if self.crud.definition.is_translated else get
        return routes.set_route_types(self.crud, route, crud=self._reading, key=self._key)

    def _update_route(self) -> Any:
        async def update(crud: Crud[M], key: Key, changes: BaseModel) -> Response:
            return await self.update(crud, key, crud.validated(self.crud.Update, changes))

        changes = self._body(self.crud.Update)
        return routes.set_route_types(self.crud, update, crud=self._writing, key=self._key, changes=changes)

    def _delete_route(self) -> Any:
        async def delete(crud: Crud[M], key: Key) -> None:
            await self.delete(crud, key)

        async def delete_or_purge(crud: Crud[M], key: Key, permanently: bool = False) -> None:
            await (self.purge(crud, key) if permanently else self.delete(crud, key))

        route = delete_or_purge if self.crud.definition.has_trash else delete
        return routes.set_route_types(self.crud, route, crud=self._writing, key=self._key)

    def _restore_route(self) -> Any:
        async def restore(crud: Crud[M], key: Key) -> Response:
            return await self.restore(crud, key)

        return routes.set_route_types(self.crud, restore, crud=self._writing, key=self._key)

    def _body(self, schema: type[BaseModel]) -> Any:
        """Return the type of a request body. If its fields depend on the user, the data layer validates it instead."""
        return Annotated[schema, WrapValidator(_skip_validation)] if self.crud.definition.field_rules.locks else schema


def _with_path(request: Request, response: Response) -> Response:
    """Return the response to a new row with the whole path in `Location`."""
    location = response.headers.get("Location", "/")
    if not location.startswith("/") and "://" not in location:
        response.headers["Location"] = f"{request.scope['path'].rpartition('/')[0]}/{location}"
    return response


def _skip_validation(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    return value if isinstance(value, dict) else validate(value)
