"""The rows of a model as JSON: `router = CrudApi(Books, "/books").router`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ValidatorFunctionWrapHandler, WrapValidator

from opportune.crud.access import Access
from opportune.crud.crud import Crud, Key
from opportune.crud.dependencies import reading, writing
from opportune.crud.direct import add_alone, opened, read_new, read_wanted
from opportune.crud.routes import ReplaceableRoutes, as_route_of, key_name, key_type
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.pagination import Page, Paging
from opportune.web.direct_route import DirectRoute, answering
from opportune.web.errors.openapi import refusals

M = TypeVar("M", bound=Model)

ROUTES = ("find", "add", "read", "update", "delete")
STATUSES = {"add": 201, "delete": 204}


class CrudApi(Generic[M]):
    """Addresses for a list, a new row, and reading, changing and deleting one. Each method can be overridden.

    `without=("delete",)` leaves one out; routes of one's own go on the same `router`.
    """

    def __init__(self, crud: type[Crud[M]], prefix: str, *, without: Collection[str] = ()) -> None:
        if unknown := set(without) - set(ROUTES):
            words = f"without={', '.join(sorted(unknown))} names no route. There are: {', '.join(ROUTES)}."
            raise OperatorError(f"{type(self).__name__} of {crud.__name__}: {words}")
        self.crud = crud
        self.prefix = prefix
        self.without = without

    # What the routes do

    async def find(self, crud: Crud[M], wanted: Paging) -> Response:
        answers = crud.answers
        if answers.needs_objects:
            page: Page[Any] = await crud.find(wanted)
        else:
            page = await crud.rows(wanted, answers.names)
        return json_response(answers.write_page(page.items, page.total, page.page, page.pages))

    async def add(self, crud: Crud[M], new: BaseModel) -> Response:
        return await self.answer(crud, await crud.add(new), 201)

    async def read(self, crud: Crud[M], key: Key) -> Response:
        answers = crud.answers
        found = await (crud.get(key) if answers.needs_objects else crud.row(key, answers.names))
        return json_response(answers.write_row(found))

    async def update(self, crud: Crud[M], key: Key, changes: BaseModel) -> Response:
        return await self.answer(crud, await crud.change(key, changes), 200)

    async def delete(self, crud: Crud[M], key: Key) -> None:
        await crud.delete(key)

    async def answer(self, crud: Crud[M], row: M, status: int) -> Response:
        """A row that was just written, as it is stored."""
        answers = crud.answers
        values: Any = answers.copy_of(row)
        if values is None:
            values = await (crud.get(row.id) if answers.needs_objects else crud.written(row, answers.names))
        return json_response(answers.write_row(values), status)

    # Their addresses

    @cached_property
    def router(self) -> APIRouter:
        one, read = f"/{{{key_name(self.crud)}}}", self.crud.Read
        opened, written = self._refusals(reads=True), self._refusals(reads=False)
        listed: Any = Page[read]  # type: ignore[valid-type]  # the moment knows it
        options: Mapping[str, Mapping[str, Any]] = {
            "find": {"path": "", "methods": ["GET"], "response_model": listed, "responses": opened(422)},
            "add": {"path": "", "methods": ["POST"], "response_model": read, "responses": written(422)},
            "read": {"path": one, "methods": ["GET"], "response_model": read, "responses": opened(404)},
            "update": {"path": one, "methods": ["PATCH"], "response_model": read, "responses": written(404, 422)},
            "delete": {"path": one, "methods": ["DELETE"], "responses": written(404, 422)},
        }
        described = [Depends(each) for each in self._described]
        router = ReplaceableRoutes(prefix=self.prefix, tags=[self.prefix.strip("/")], dependencies=described)
        for name, of_route in options.items():
            if name not in self.without:
                route = getattr(self, f"_{name}_route")()
                route.__module__ = self.crud.__module__  # `oppman.py routes` tells whose address it is
                status = STATUSES.get(name, 200)
                router.add_api_route(endpoint=route, status_code=status, route_class_override=DirectRoute, **of_route)
        router.complete()
        return router

    @property
    def _described(self) -> Sequence[Any]:
        """What a program says besides, which `opened` reads by itself."""
        owners = self.crud.team_owners()
        return (owners.describe,) if owners else ()

    def _refusals(self, *, reads: bool) -> Callable[..., dict[int | str, dict[str, Any]]]:
        access = self.crud.definition.read_access if reads else self.crud.definition.write_access
        is_forbidden = access is Access.PERMITTED or self.crud.definition.is_of_team
        asked = () if access is Access.ANYONE else (401, 403) if is_forbidden else (401,)
        return lambda *statuses: refusals(*asked, *statuses)

    def _find_route(self) -> Any:
        async def find(crud: Crud[M], wanted: Paging) -> Response:
            return await self.find(crud, wanted)

        async def direct(request: Request) -> Response | None:
            if (wanted := read_wanted(self.crud, request.query_params)) is None:
                return None
            async with opened(self.crud, request, writes=False) as crud:
                return await self.find(crud, wanted)

        answering(find, direct, covers=self._described)
        return as_route_of(self.crud, find, crud=self._reading, wanted=Annotated[self.crud.Filter, Query()])

    def _add_route(self) -> Any:
        async def add(crud: Crud[M], new: BaseModel) -> Response:
            return await self.add(crud, crud.validated(self.crud.Create, new))

        async def direct(request: Request) -> Response | None:
            if (new := await read_new(self.crud.Create, request)) is None:
                return None
            async with opened(self.crud, request, writes=True) as crud:
                stored = await add_alone(crud, new) if is_given else None
                if stored is None:
                    return await self.add(crud, new)
            return json_response(self.crud.definition.answers.write_row(stored), 201)

        is_given = type(self).add is CrudApi.add and type(self).answer is CrudApi.answer
        if not self.crud.definition.field_rules.locks:
            answering(add, direct, covers=self._described)
        return as_route_of(self.crud, add, crud=self._writing, new=self._body(self.crud.Create))

    def _read_route(self) -> Any:
        async def read(crud: Crud[M], key: Key) -> Response:
            return await self.read(crud, key)

        return as_route_of(self.crud, read, crud=self._reading, key=key_type(self.crud))

    def _update_route(self) -> Any:
        async def update(crud: Crud[M], key: Key, changes: BaseModel) -> Response:
            return await self.update(crud, key, crud.validated(self.crud.Update, changes))

        changes = self._body(self.crud.Update)
        return as_route_of(self.crud, update, crud=self._writing, key=key_type(self.crud), changes=changes)

    def _delete_route(self) -> Any:
        async def delete(crud: Crud[M], key: Key) -> None:
            await self.delete(crud, key)

        return as_route_of(self.crud, delete, crud=self._writing, key=key_type(self.crud))

    def _body(self, schema: type[BaseModel]) -> Any:
        """The type of a body: it is validated after the user is known where users may write different fields."""
        return Annotated[schema, WrapValidator(_unread)] if self.crud.definition.field_rules.locks else schema

    @property
    def _reading(self) -> Any:
        kind: Any = self.crud
        return Annotated[kind, reading(kind)]

    @property
    def _writing(self) -> Any:
        kind: Any = self.crud
        return Annotated[kind, writing(kind)]


def _unread(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    return value if isinstance(value, dict) else validate(value)


def json_response(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")
