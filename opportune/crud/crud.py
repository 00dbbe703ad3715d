"""The data layer of one model: who may see and change which rows, what a list can be asked, what may be written."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from types import FunctionType
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from sqladmin.authorization import matches_grant
from sqladmin.helpers import slugify_class_name
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    SQLColumnExpression,
    bindparam,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, selectinload
from sqlalchemy.sql.elements import True_

from opportune.accounts.models import User
from opportune.crud.access import Access
from opportune.crud.definition import Definition
from opportune.crud.reader import Prepared, fetch, is_visible, joined, select_names, values_of
from opportune.db.columns import is_text
from opportune.db.matching import matches, patterns_of
from opportune.db.model import MAX_ID, Model
from opportune.db.violations import NOT_THERE, translate_database_errors
from opportune.errors import FieldErrors, Forbidden, NotFound, OperatorError
from opportune.pagination import Page, Paging, order, page_count
from opportune.web.forms.error_messages import message_for

M = TypeVar("M", bound=Model)

Values = BaseModel | Mapping[str, Any]
"""What is to be written: of a schema, or by name, which is checked as if it had been sent."""
Key = int | str
"""A row's number, or the text that `lookup` names."""

Rows = Page[dict[str, Any]]

READING = {"list", "details"}
WRITING = {"create", "edit", "delete"}


class SchemaOf:
    """A schema of the class that it is asked of, made once."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, kind: "type[Crud[Any]]") -> type[BaseModel]:
        schema: type[BaseModel] = getattr(kind.definition, self.name)
        return schema


class FilterOf:
    """The query of the list of the class that it is asked of, made once."""

    def __get__(self, instance: object, kind: "type[Crud[Any]]") -> type[Paging]:
        return kind.definition.filter_schema


class Crud(Generic[M]):
    """The rows of a model as one person has them: `class Books(Crud[Book])`, `await Books(session, user).get(3)`.

    Knows no HTTP and never commits. Where nobody may, `Forbidden` is raised; what is not theirs is `NotFound`; what
    cannot be stored is `FieldErrors`. Each method can be overridden.
    """

    model: ClassVar[type[Any]]
    definition: ClassVar[Definition]

    lookup: ClassVar[str] = "id"
    """What addresses name a row by: `id`, or a text that is unique."""
    owner: ClassVar[str | None] = None
    """The column that says whose a row is."""
    read_access: ClassVar[Access | None] = None
    """Who may see rows: by default their owner where there is one, else whom a group grants it."""
    write_access: ClassVar[Access | None] = None
    search: ClassVar[Sequence[str]] = ()
    """Columns of text in which `?q=` looks, word by word; also of a row that is pointed at: `author.name`."""
    filters: ClassVar[Sequence[str]] = ()
    """Columns and relationships by which a list may be filtered."""
    sort: ClassVar[Sequence[str]] = ()
    """What `?sort=` may name."""
    order: ClassVar[Sequence[str]] = ()
    """The order of a list that nobody sorts; `-` turns one round. The newest come first without it."""
    annotations: ClassVar[Mapping[str, Any]] = {}
    """What is computed for each row, as a correlated select: shown, sorted by and answered."""
    write_fields: ClassVar[Sequence[str]] = ()
    """What may be written, instead of all that is not guarded."""
    read_fields: ClassVar[Sequence[str]] = ()
    """What is answered, instead of all that is no secret."""
    exclude: ClassVar[Sequence[str]] = ()
    """Neither written nor answered."""
    readonly: ClassVar[Sequence[str]] = ()
    """Answered, and never written."""
    nested: ClassVar[Sequence[str]] = ()
    """Relationships that are answered as objects instead of numbers."""
    create_schema: ClassVar[type[BaseModel] | None] = None
    update_schema: ClassVar[type[BaseModel] | None] = None
    read_schema: ClassVar[type[BaseModel] | None] = None
    filter_schema: ClassVar[type[Paging] | None] = None

    Create = SchemaOf("create_schema")
    Update = SchemaOf("update_schema")
    Read = SchemaOf("read_schema")
    Filter = FilterOf()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        given = (arg for base in vars(cls).get("__orig_bases__", ()) for arg in get_args(base))
        if model := next((arg for arg in given if isinstance(arg, type)), None):
            cls.model = model
        if not hasattr(cls, "model"):
            if not any(
                isinstance(arg, TypeVar) for base in vars(cls).get("__orig_bases__", ()) for arg in get_args(base)
            ):
                raise OperatorError(f"{cls.__name__} names no model. Write: class {cls.__name__}(Crud[Book])")
            return
        is_first = cruds.setdefault(cls.model, cls) is cls
        called = cls.model.__name__ if is_first else cls.__name__
        cls.definition = Definition(cls, called=called, sets_fields=cls.assign is not Crud.assign)
        cls.definition.is_common = cls._asks_alike()

    @classmethod
    def _asks_alike(cls) -> bool:
        """Whether the list of everybody is one statement: no method of their own is in it, nor another class."""
        methods = ("readable", "query", "column", "visible", "ordering", "default_order")
        has_paths = any("." in path for path in (*cls.sort, *cls.order))
        return all(getattr(cls, name) is getattr(Crud, name) for name in methods) and not (has_paths or cls.nested)

    def __init__(
        self, session: AsyncSession, user: User | None = None, grants: AbstractSet[tuple[str, str]] = frozenset()
    ) -> None:
        self.session = session
        self.user = user
        self.grants = grants

    # Who may

    def may(self, action: str) -> bool:
        """Whether they may `list`, `details`, `create`, `edit` or `delete` some row, or do what a group is granted."""
        if action in READING:
            access = self.definition.read_access
        else:
            access = self.definition.write_access if action in WRITING else Access.PERMITTED
        if access is Access.ANYONE:
            return True
        if self.user is None or access is not Access.PERMITTED:
            return self.user is not None
        return self.user.is_superuser or matches_grant(set(self.grants), self.identity(), action)

    @classmethod
    def identity(cls) -> str:
        """What groups are granted rights to, as in the admin's addresses."""
        return slugify_class_name(cls.model.__name__)

    @classmethod
    def asks_grants(cls) -> bool:
        """Whether it matters what groups grant: here, or for rows that are pointed at."""
        shape = cls.definition.shape
        targets = {*shape.references.values(), *shape.links.values()}
        others = {cruds[target] for target in targets if target in cruds} - {cls}
        return any(kind._may_ask_grants() for kind in (cls, *others))

    @classmethod
    def _may_ask_grants(cls) -> bool:
        """A method of one's own may ask `may`, whatever the class says."""
        own = cls.__mro__[: cls.__mro__.index(Crud)]
        has_methods = any(isinstance(each, FunctionType) for base in own for each in vars(base).values())
        return has_methods or Access.PERMITTED in (cls.definition.read_access, cls.definition.write_access)

    def require(self, action: str) -> None:
        """Raise Forbidden for whoever may not."""
        if not self.may(action):
            raise Forbidden

    def readable(self) -> ColumnElement[bool]:
        """Which rows there are for them. Others are not there in any way."""
        return self._is_theirs(self.definition.read_access)

    def writable(self) -> ColumnElement[bool]:
        """Which of these they may change and delete."""
        return self._is_theirs(self.definition.write_access)

    def _is_theirs(self, access: Access, number: Any = None) -> ColumnElement[bool]:
        if access is not Access.OWNER or self.owner is None:
            return true()
        column: ColumnElement[Any] = getattr(self.model, self.owner)
        if number is None:
            return false() if self.user is None else column == self.user.id
        theirs: ColumnElement[bool] = column == number
        return theirs

    def visible(self, model: type[Any]) -> ColumnElement[bool]:
        """Which rows of another model there are for them: all, where it has no data layer of its own."""
        kind = type(self) if model is self.model else cruds.get(model)
        if kind is None:
            return true()
        other: Crud[Any] = kind(self.session, self.user, self.grants)
        return other.readable() if other.may("list") else false()

    # Reading

    async def find(self, wanted: Paging | None = None) -> Page[M]:
        """The page of rows that is wanted, with what is computed for each, and how many there are."""
        self.require("list")
        wanted = wanted or self.Filter()
        query = self.query().where(self.readable(), *self.conditions(wanted))
        found = await self._page(query.add_columns(*self.definition.annotations.values()), query, wanted)
        return found.model_copy(update={"items": [self._annotated(row) for row in found.items]})

    async def rows(self, wanted: Paging | None = None, names: Sequence[str] = ()) -> Page[dict[str, Any]]:
        """As `find`, with the values of these names alone, of what is answered by default, and without objects."""
        self.require("list")
        wanted = wanted or self.Filter()
        made = self._prepared(wanted, tuple(names or self.definition.answers.names))
        offset = (wanted.page - 1) * wanted.size
        values = {"owner": self.user.id if self.user else 0, "offset": offset, "limit": wanted.size}
        alone = not made.selection.links
        found = await fetch(self.session, made.statement, values, alone=alone)
        total = found[0][-1] if found else 0
        if not found and wanted.page > 1:  # past the end, where no row tells it
            total = (await fetch(self.session, made.counting, values, alone=alone))[0][0]
        items = await values_of(self, made.selection, found)
        pages = page_count(total, wanted.size)
        return Rows.model_construct(items=items, total=total, page=wanted.page, pages=pages)

    def _prepared(self, wanted: Paging, names: Sequence[str]) -> Prepared:
        """The statement of a list: made once for each order where it is the same for everybody but for values."""
        is_common = self.definition.is_common and not wanted.model_fields_set - Paging.model_fields.keys()
        if not is_common:
            return self._prepare(wanted, names)
        known, key = self.definition.prepared, (wanted.sort, names)
        if key not in known:
            known[key] = self._prepare(wanted, names)
        return known[key]

    def _prepare(self, wanted: Paging, names: Sequence[str]) -> Prepared:
        selection = select_names(self, names)
        theirs = self._is_theirs(self.definition.read_access, bindparam("owner", type_=BigInteger))
        theirs = theirs if self.definition.is_common else self.readable()
        query = self.query().where(theirs, *self.conditions(wanted))
        number = query.with_only_columns(self.model.id, maintain_column_froms=True).order_by(None)
        count = select(func.count()).select_from(number.subquery())
        chosen = query.with_only_columns(*selection.columns, count.scalar_subquery(), maintain_column_froms=True)
        paged = joined(chosen, selection).order_by(*self.ordering(wanted.sort))
        limits = bindparam("limit", type_=Integer), bindparam("offset", type_=BigInteger)
        return Prepared(selection, paged.limit(limits[0]).offset(limits[1]), count)

    async def row(self, key: Key, names: Sequence[str] = ()) -> dict[str, Any]:
        """As `get`, with the values of these names alone. Raises NotFound."""
        self.require("details")
        return await self._row(self.query().where(self.readable(), self._has(key)), names)

    async def written(self, row: M, names: Sequence[str] = ()) -> dict[str, Any]:
        """As `row`, for one that was just written: also where it may not be read any more."""
        return await self._row(self.query().where(self._has(row.id)), names)

    async def _row(self, query: Select[Any], names: Sequence[str]) -> dict[str, Any]:
        selection = select_names(self, names or self.definition.answers.names)
        chosen = joined(query.with_only_columns(*selection.columns, maintain_column_froms=True), selection)
        found = (await self.session.execute(chosen)).first()
        if found is None:
            raise NotFound
        return (await values_of(self, selection, [found]))[0]

    async def get(self, key: Key) -> M:
        """Get a row. Raises NotFound."""
        self.require("details")
        return await self._one(self.query().where(self.readable(), self._has(key)))

    async def get_writable(self, key: Key, action: str = "edit") -> M:
        """Get a row to change it: nobody else does meanwhile. Raises NotFound."""
        self.require(action)
        query = self.query().where(self.readable(), self.writable(), self._has(key))
        return await self._one(query.with_for_update(of=self.model))

    def query(self) -> Select[tuple[M]]:
        """All rows, whoever asks, with the rows that they point at and are linked with."""
        shape = self.definition.shape
        targets = {name: relation.mapper.class_ for name, relation in shape.to_one.items()} | dict(shape.links)
        return select(self.model).options(*(self._loading(name, target) for name, target in targets.items()))

    def _loading(self, name: str, target: type[Any]) -> Any:
        relation, condition = getattr(self.model, name), self.visible(target)
        return selectinload(relation if isinstance(condition, True_) else relation.and_(condition))

    def conditions(self, wanted: Paging) -> Iterator[ColumnElement[bool]]:
        """What the query of a list asks of each row."""
        for name in wanted.model_fields_set - Paging.model_fields.keys():
            value = getattr(wanted, name)
            if value is None or value == []:
                continue
            if name == "q":
                yield from self._has_words(value)
            elif name in self.definition.own_filters:
                yield getattr(self, name)(value)
            else:
                yield self.definition.filters[name].condition(self.visible, value)

    def _has_words(self, text: str) -> Iterator[ColumnElement[bool]]:
        columns = [self.column(path) for path in self.search]
        for pattern in patterns_of(text):
            yield or_(false(), *(matches(column, pattern) for column in columns))

    def column(self, path: str) -> ColumnElement[Any]:
        """What a name stands for: a column, what is computed, or a column of a row that is pointed at."""
        name, _, rest = path.partition(".")
        if not rest:
            computed = self.definition.annotations
            found: ColumnElement[Any] = computed[name] if name in computed else getattr(self.model, name)
            return found
        shape = self.definition.shape
        target = shape.to_one[name].mapper.class_
        there, kept = aliased(target), getattr(self.model, shape.column_of(name))
        value = select(getattr(there, rest)).where(there.id == kept, is_visible(self, target, there))
        return value.correlate(self.model).scalar_subquery()

    def ordering(self, sort: str) -> Sequence[SQLColumnExpression[Any]]:
        """For `order_by`: as the reader wants it, then as the class says, then by number."""
        path = sort.removeprefix("-")
        wanted = {path: self._sortable(path)} if path in self.sort else {}
        return order(sort, wanted, *self.default_order(), self.model.id.desc())

    def default_order(self) -> Sequence[SQLColumnExpression[Any]]:
        """The order of a list that nobody sorts."""
        names = {path.removeprefix("-"): path for path in self.order}
        return [order(path, {name: self._sortable(name)})[0] for name, path in names.items()]

    def _sortable(self, path: str) -> ColumnElement[Any]:
        column, name = self.column(path), path.rpartition(".")[2]
        shape = self.definition.shape
        is_words = path == name and name in shape.columns and is_text(shape.columns[name])
        return func.lower(column) if is_words or "." in path else column

    async def _page(self, statement: Select[Any], query: Select[Any], wanted: Paging) -> Page[Any]:
        """A page of a statement, with the count of the query in the same statement."""
        number = self.model.id
        count = select(func.count()).select_from(query.options().with_only_columns(number).order_by(None).subquery())
        paged = statement.order_by(*self.ordering(wanted.sort)).offset((wanted.page - 1) * wanted.size)
        paged = paged.add_columns(count.scalar_subquery()).limit(wanted.size)
        rows = (await self.session.execute(paged)).all()
        total = rows[0][-1] if rows else 0
        if not rows and wanted.page > 1:  # past the end, where no row tells it
            total = await self.session.scalar(count) or 0
        return Page[Any](items=rows, total=total, page=wanted.page, pages=page_count(total, wanted.size))

    async def _one(self, query: Select[tuple[M]]) -> M:
        found = (await self.session.execute(query.add_columns(*self.definition.annotations.values()))).first()
        if found is None:
            raise NotFound
        return self._annotated(found)

    def _annotated(self, found: Sequence[Any]) -> M:
        row: M = found[0]
        for name, value in zip(self.definition.annotations, found[1:], strict=False):
            object.__setattr__(row, name, value)  # Pydantic knows no such field
        return row

    def _has(self, key: Key) -> ColumnElement[bool]:
        """Whether a row has this key; what no row can have, none has."""
        if isinstance(key, str) and self.lookup != "id":
            named: ColumnElement[bool] = getattr(self.model, self.lookup) == key
            return false() if "\0" in key else named
        text = str(key)
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
        own: ColumnElement[bool] = self.model.id == number
        return own if 1 <= number <= MAX_ID else false()

    # Writing

    async def add(self, values: Values) -> M:
        """Add a row. Raises FieldErrors."""
        self.require("create")
        keeps = self.session.in_transaction()
        given = self._given(self.Create, values, all_of_it=True)
        row = self.new_row()
        given |= await self._referred(row, given, is_new=True)
        async with self._refusals(keeps=keeps):
            await self.assign(row, given)
            self.session.add(row)
            await self.session.flush()
        return row

    def new_row(self) -> M:
        """A row that is not written yet: theirs, where rows have owners."""
        row: M = self.model()
        if self.owner and self.user:
            setattr(row, self.owner, self.user.id)
        return row

    async def change(self, row: M | Key, values: Values) -> M:
        """Change what is given, and leave the rest. Raises NotFound and FieldErrors."""
        keeps = self.session.in_transaction()
        found = await self.get_writable(row.id if isinstance(row, Model) else row)
        number = found.id
        given = self._given(self.Update, values, all_of_it=False)
        given |= await self._referred(found, given, is_new=False)
        try:
            async with self._refusals(keeps=keeps):
                await self.assign(found, given)
                await self.session.flush()
        except FieldErrors:
            again = self.query().where(self._has(number)).execution_options(populate_existing=True)
            await self.session.execute(again)  # as it is stored: it may be shown
            raise
        return found

    async def delete(self, row: M | Key) -> None:
        """Delete a row. Raises NotFound, and FieldErrors where something else needs it."""
        keeps = self.session.in_transaction()
        found = await self.get_writable(row.id if isinstance(row, Model) else row, "delete")
        async with self._refusals(keeps=keeps, deleting=True):
            await self.session.delete(found)
            await self.session.flush()

    async def assign(self, row: M, values: dict[str, Any]) -> None:
        """Put what was sent onto a row, new or not: the place for fields of a schema that are no columns."""
        for name, value in values.items():
            setattr(row, name, value)

    def _given(self, schema: type[BaseModel], values: Values, *, all_of_it: bool) -> dict[str, Any]:
        """What is to be written by name, checked by the schema."""
        if not isinstance(values, schema):
            values = _checked(schema, values)
        return {
            name: getattr(values, name)
            for name in (type(values).model_fields if all_of_it else values.model_fields_set)
        }

    async def _referred(self, row: M, given: Mapping[str, Any], *, is_new: bool) -> dict[str, Any]:
        """The rows that are to be linked; what is pointed at has to be there for them.

        Raises:
            FieldErrors: it is not.
        """
        shape, errors = self.definition.shape, set()
        for name, target in shape.references.items():
            numbers = {given.get(name)} - {None, None if is_new else getattr(row, name)}
            if numbers and not await self._rows(target, numbers):
                errors.add(name)
        linked: dict[str, Any] = {}
        for name in shape.links.keys() & given.keys():
            numbers = set(given[name])
            linked[name] = await self._rows(shape.links[name], numbers)
            if len(linked[name]) < len(numbers):
                errors.add(name)
        if errors:
            raise FieldErrors(dict.fromkeys(errors, NOT_THERE))
        return linked

    async def _rows(self, model: type[Any], numbers: Collection[Any]) -> list[Any]:
        if not numbers:
            return []
        there = select(model).where(model.id.in_(numbers), self.visible(model)).order_by(model.id)
        return list(await self.session.scalars(there))

    @asynccontextmanager
    async def _refusals(self, *, keeps: bool, deleting: bool = False) -> AsyncIterator[None]:
        """Turn what the database refuses into FieldErrors, with the session as it was before.

        `keeps` is whether the transaction has anything to lose; it takes a savepoint then.
        """
        with translate_database_errors(self.model.__table__, deleting=deleting):
            if keeps:
                async with self.session.begin_nested():
                    yield
                return
            try:
                yield
            except Exception:
                await self.session.rollback()
                raise


cruds: dict[type[Any], type[Crud[Any]]] = {}
"""By model the class that says which of its rows there are for somebody: the first that is declared."""


def _checked(schema: type[BaseModel], values: Values) -> BaseModel:
    if isinstance(values, BaseModel):
        values = {name: getattr(values, name) for name in values.model_fields_set}
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        errors: dict[str, str] = {}
        for item in error.errors():
            errors.setdefault(str(item["loc"][0]) if item["loc"] else "", message_for(item))
        raise FieldErrors(errors) from error
