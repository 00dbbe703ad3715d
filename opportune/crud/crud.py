"""Data layer of one model: statements, reading and validated writes."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, Self, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError
from sqlalchemy import ColumnElement, Select, false, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.accounts.permissions import read_permissions
from opportune.crud.access import RowAccess
from opportune.crud.definition import Definition
from opportune.crud.options import Key, Values
from opportune.crud.registry import TeamOwners, may_use_permissions, register, related_classes
from opportune.crud.row_reading import ListReader, has_id, load_row, read_row
from opportune.crud.statements import RowStatements
from opportune.db.constraint_errors import ENTRY_MISSING, explain_conflict, translate_database_errors
from opportune.db.models.model import Model
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.sessions.insertion import insert_row
from opportune.db.sessions.state import session_state
from opportune.db.sessions.trash import purge, restore, with_deleted
from opportune.errors import FieldErrors, OperatorError, renamed_names
from opportune.errors.option_names import refuse_wrong_options
from opportune.pagination import Page, Paging
from opportune.web.forms.error_messages import messages_by_field

M = TypeVar("M", bound=Model)


class Crud(RowStatements, Generic[M]):
    """The rows of a model, as one user may read and write them.

    It is independent of HTTP and never commits. Methods raise `Forbidden` if the user may not do this for any row,
    `NotFound` for rows that the user may not see, and `FieldErrors` for values that cannot be stored. You can override
    each method.

        class Books(Crud[Book]):
            search = ("title", "author.name")
            filters = ("price", "author")

        book = await Books(session, user).get(3)
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_wrong_options(cls, Crud, renamed=renamed_names.CRUD_OF_DJANGO | renamed_names.CRUD)
        type_arguments = [argument for base in vars(cls).get("__orig_bases__", ()) for argument in get_args(base)]
        models = [argument for argument in type_arguments if isinstance(argument, type)]
        if models:
            cls.model = models[0]
            if not hasattr(cls.model, "__table__"):
                raise OperatorError(f"{cls.__name__}: {cls.model.__name__} is no table. Write: class Books(Crud[Book])")
        if not hasattr(cls, "model"):
            # A generic base class, such as `class Shelved(Crud[M])`, gets its model from its subclasses.
            if not any(isinstance(argument, TypeVar) for argument in type_arguments):
                raise OperatorError(f"{cls.__name__} names no model. Write: class {cls.__name__}(Crud[Book])")
            return
        methods = {*vars(RowAccess), *vars(RowStatements), *vars(Crud)}
        cls.definition = Definition(cls, {name for name in methods if getattr(cls, name) is not getattr(Crud, name)})
        register(cls)

    @classmethod
    async def for_user(cls, session: AsyncSession, user: User | None) -> Self:
        """Return the data layer with a user's permissions and selected team, for code without a request."""
        owners = cls.team_owners()
        team = await owners.read_current(session, user) if owners and user else None
        permissions = await read_permissions(session, user) if cls.needs_permissions() else frozenset()
        return cls(session, user, permissions, team)

    @classmethod
    def needs_permissions(cls) -> bool:
        """Return whether rules of this class, or of classes that its rows refer to, use the permissions of groups."""
        return any(may_use_permissions(crud_class, Crud) for crud_class in related_classes(cls))

    @classmethod
    def team_owners(cls) -> TeamOwners | None:
        """Return the model of teams that own these rows, or rows that they refer to. None if no team does."""
        owners = (crud_class.definition.team for crud_class in related_classes(cls))
        return next(filter(None, owners), None)

    # Reading

    async def list(self, query: Paging | None = None) -> Page[M]:
        """Return a page of rows with their annotations, and the total number of rows.

        Args:
            query: The filters, order and page: `books.Filter(price__lt=10, sort="-price")`.

        Raises:
            Forbidden: The user may not list rows.
            FieldErrors: A filter or the order uses a hidden field, or a filter method refuses its value.
        """
        return await ListReader(self, query or self.Filter()).read_objects()

    async def list_values(self, query: Paging | None = None, names: Sequence[str] = ()) -> Page[dict[str, Any]]:
        """Return the page as mappings with these names, by default the names of a response. Do not load objects."""
        return await ListReader(self, query or self.Filter()).read_mappings(names)

    def select(self, query: Paging | None = None) -> Select[Any]:
        """Return a statement for all rows of a list in its order, for exports and totals. The rows have no annotations.

        Raises:
            Forbidden: The user may not list rows.
            FieldErrors: A filter or the order uses a hidden field, or a filter method refuses its value.
        """
        return ListReader(self, query or self.Filter()).select()

    async def get_values(self, key: Key, names: Sequence[str] = ()) -> dict[str, Any]:
        """Return the values of a row by name.

        Raises:
            NotFound: The row does not exist, or the user may not read it.
        """
        self.require("get")
        return await read_row(self, self.query().where(self.readable(), self._has_key(key)), names)

    async def get_written(self, row: M, names: Sequence[str] = ()) -> dict[str, Any]:
        """Return the values of a row that was just written, even if the user may no longer read it."""
        return await read_row(self, self.query().where(self._has_key(row.id)), names)

    async def get(self, key: Key) -> M:
        """Return a row with its related rows.

        Args:
            key: The `id`, or the value of the `lookup` column.

        Raises:
            NotFound: The row does not exist for this user.
            Forbidden: The user may not open rows at all.
        """
        self.require("get")
        return await load_row(self, self.query().where(self.readable(), self._has_key(key)))

    async def get_writable(self, key: Key, action: str = "update") -> M:
        """Return a row and lock it for a change.

        Raises:
            NotFound: The row does not exist, or the user may not do this with it.
        """
        self.require(action)
        query = self.query().where(self.readable(), self.writable_by(action), self._has_key(key))
        return await load_row(self, query.with_for_update(of=self.model))

    def _has_key(self, key: Key) -> ColumnElement[bool]:
        """Return the condition for the row with this key. An invalid key matches no row."""
        if isinstance(key, str) and self.lookup != "id":
            has_lookup: ColumnElement[bool] = getattr(self.model, self.lookup) == key
            return false() if "\0" in key else has_lookup
        return has_id(self.model, str(key))

    # Writing

    async def create(self, values: Values) -> M:
        """Add a row.

        Args:
            values: An instance of `Create`, or a mapping that is validated like one.

        Returns:
            The new row with its `id`.

        Raises:
            Forbidden: The user may not add rows.
            FieldErrors: A value is not valid, or the database rejects it.
        """
        self.require("create")
        in_transaction = self.session.in_transaction()
        new = self.validated(self.Create, values)
        data = self._writable_values(new, type(new).model_fields.keys())
        row = self.new_row()
        data |= await self._find_linked_rows(data, {})
        async with self._writes_row(data, row, in_transaction=in_transaction):
            await self.assign(row, data)
            await insert_row(self.session, row)
        return row

    def new_row(self) -> M:
        """Return a new row. It belongs to the user or the current team if rows have owners."""
        row: M = self.model()
        if self.row_permissions.owner_column and self.row_permissions.owner_id is not None:
            setattr(row, self.row_permissions.owner_column, self.row_permissions.owner_id)
        return row

    async def update(self, row: M | Key, values: Values) -> M:
        """Change the fields in `values` and flush the row.

        Args:
            row: The row or its key.
            values: An instance of `Update` or a mapping. Fields that were not set stay unchanged.

        Raises:
            NotFound: The row does not exist for this user, or the user may not change it.
            FieldErrors: A value is not valid, or the database refuses it.
        """
        in_transaction = self.session.in_transaction()
        target = await self.get_writable(_key_of(row))
        row_id = target.id
        new = self.validated(self.Update, values)
        data = self._writable_values(new, new.model_fields_set)
        previous = {name: getattr(target, name) for name in self.definition.shape.references}
        data |= await self._find_linked_rows(data, previous)
        try:
            async with self._writes_row(data, target, in_transaction=in_transaction):
                await self.assign(target, data)
                await self.session.flush()
        except FieldErrors:
            stored = self.query().where(self._has_key(row_id)).execution_options(populate_existing=True)
            await self.session.execute(stored)  # reload them, because the page with the errors shows stored values
            raise
        return target

    async def delete(self, row: M | Key) -> None:
        """Delete a row, or move it to the trash if the model is `SoftDelete`.

        Raises:
            NotFound: The row does not exist for this user, or the user may not change it.
            FieldErrors: Other rows reference it.
        """
        in_transaction = self.session.in_transaction()
        target = await self.get_writable(_key_of(row), "delete")
        async with self._writes_row(in_transaction=in_transaction):
            await self.session.delete(target)
            await self.session.flush()

    async def restore(self, row: M | Key) -> M:
        """Take a row out of the trash.

        Raises:
            NotFound: It is not there, or the user may not delete it.
        """
        in_transaction = self.session.in_transaction()
        target = await self._load_with_trash(row, self.model.deleted_at.is_not(None))
        async with self._writes_row({}, in_transaction=in_transaction):
            await restore(self.session, cast("SoftDelete", target))
        return target

    async def purge(self, row: M | Key) -> None:
        """Delete a row permanently, also from the trash.

        Raises:
            NotFound: The row does not exist, or the user may not delete it.
            FieldErrors: Other rows reference it.
        """
        in_transaction = self.session.in_transaction()
        target = await self._load_with_trash(row)
        async with self._writes_row(in_transaction=in_transaction):
            await purge(self.session, target)

    async def _load_with_trash(self, row: M | Key, *conditions: ColumnElement[bool]) -> M:
        self.require("delete")
        is_row = self._has_key(_key_of(row))
        query = self.query().where(self.readable(), self.writable_by("delete"), is_row, *conditions)
        return await load_row(self, with_deleted(query.with_for_update(of=self.model)))

    async def assign(self, row: M, values: dict[str, Any]) -> None:
        """Set values on a new or existing row. Override it for fields of a schema that have no column."""
        for name, value in values.items():
            setattr(row, name, value)

    def validated(self, schema: type[BaseModel], values: Values) -> BaseModel:
        """Validate values with a schema that refuses fields the user may not write.

        Raises:
            FieldErrors: They are invalid.
        """
        schema = self.definition.unlocked(schema, self.locked_names)
        if isinstance(values, schema):
            return values
        if isinstance(values, BaseModel):
            values = {name: getattr(values, name) for name in values.model_fields_set}
        try:
            return schema.model_validate(values)
        except ValidationError as error:
            raise FieldErrors(messages_by_field(error)) from error

    def _writable_values(self, new: BaseModel, names: Collection[str]) -> dict[str, Any]:
        return {name: getattr(new, name) for name in names if name not in self.locked_names}

    async def _find_linked_rows(self, values: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
        """Return the rows to link, and check that the user may choose all referenced rows. Stored values may stay.

        Raises:
            FieldErrors: The user may not choose one of the rows, or it does not exist.
        """
        shape = self.definition.shape
        errors = set[str]()
        linked = dict[str, Any]()
        for name, target in shape.references.items():
            ids = {values.get(name)} - {None, previous.get(name)}
            if len(await self._find_choosable(target, ids)) < len(ids):
                errors.add(name)
        for name in shape.links.keys() & values.keys():
            ids = set(values[name])
            linked[name] = await self._find_choosable(shape.links[name], ids)
            if len(linked[name]) < len(ids):
                errors.add(name)
        if errors:
            raise FieldErrors(dict.fromkeys(errors, ENTRY_MISSING))
        return linked

    async def _find_choosable(self, model: type[Any], ids: Collection[Any]) -> Sequence[Any]:
        """Return the rows with these ids that the user may choose, by id."""
        if not ids:
            return []
        key: Any = model.id
        rows = select(model).where(key.in_(ids), self.choosable(model)).order_by(key)
        return (await self.session.scalars(rows)).all()

    @asynccontextmanager
    async def _writes_row(
        self, values: Mapping[str, Any] | None = None, row: M | None = None, *, in_transaction: bool
    ) -> AsyncIterator[None]:
        """Turn constraint violations into FieldErrors, and roll back the statement.

        Args:
            values: Values to write, which rows in the trash may hold. None if the row is deleted.
            row: The row with its other values, such as its team.
            in_transaction: Whether the caller had already begun a transaction, so that a savepoint is needed.
        """
        stored = {**vars(row)} if row else {}  # a rollback expires them
        state = session_state(self.session)  # a rollback of the transaction discards the callbacks in it
        needs_savepoint = in_transaction or state.before_commit or state.after_commit
        try:
            with translate_database_errors(self.model.__table__, deleting=values is None):
                if needs_savepoint:
                    async with self.session.begin_nested():
                        yield
                else:
                    yield
        except Exception as error:
            if not needs_savepoint:
                await self.session.rollback()
            if not isinstance(error, FieldErrors):
                raise
            raise await explain_conflict(self.session, self.model, error, values or {}, stored) from error


def _key_of(row: Model | Key) -> Any:
    return row.id if isinstance(row, Model) else row
