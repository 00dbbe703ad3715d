"""Writes the rows of a model. Values are validated, and constraint violations are reported by field."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from sqlalchemy import ColumnElement, select

from opportune.crud.options import Key, M, Values
from opportune.crud.row_reading import ReadOperations
from opportune.db.constraint_errors import ENTRY_MISSING, translate_database_errors
from opportune.db.models.model import Model
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.queries.trash_conflicts import explain_trash_conflict
from opportune.db.sessions.trash import purge, restore, with_deleted
from opportune.errors import FieldErrors
from opportune.web.forms.error_messages import messages_by_field


class WriteOperations(ReadOperations[M]):
    """The methods that write rows. Each can be overridden."""

    async def add(self, values: Values) -> M:
        """Add a row and flush it.

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
        data = self._validated_values(self.Create, values, all_fields=True)
        row = self.new_row()
        data |= await self._linked_rows(row, data, is_new=True)
        async with self._explained_conflicts(data), self._database_errors(in_transaction=in_transaction):
            await self.assign(row, data)
            self.session.add(row)
            await self.session.flush()
        return row

    @asynccontextmanager
    async def _explained_conflicts(self, values: Mapping[str, Any]) -> AsyncIterator[None]:
        """Explain unique values that a row in the trash holds."""
        try:
            yield
        except FieldErrors as error:
            raise await explain_trash_conflict(self.session, self.model, error, values) from error

    def new_row(self) -> M:
        """Return a new row. It belongs to the user or the current team if rows have owners."""
        row: M = self.model()
        if self.owner_column and self.owner_id is not None:
            setattr(row, self.owner_column, self.owner_id)
        return row

    async def change(self, row: M | Key, values: Values) -> M:
        """Change the fields in `values` and flush the row.

        Args:
            row: The row or its key.
            values: An instance of `Update` or a mapping. Fields that were not set stay unchanged.

        Raises:
            NotFound: The row does not exist for this user, or the user may not change it.
            FieldErrors: A value is not valid, or the database refuses it.
        """
        in_transaction = self.session.in_transaction()
        target = await self.get_writable(row.id if isinstance(row, Model) else row)
        row_id = target.id
        data = self._validated_values(self.Update, values, all_fields=False)
        data |= await self._linked_rows(target, data, is_new=False)
        try:
            async with self._explained_conflicts(data), self._database_errors(in_transaction=in_transaction):
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
        target = await self.get_writable(row.id if isinstance(row, Model) else row, "delete")
        async with self._database_errors(in_transaction=in_transaction, deleting=True):
            await self.session.delete(target)
            await self.session.flush()

    async def restore(self, row: M | Key) -> M:
        """Take a row out of the trash. Raises NotFound if it is not there, or the user may not delete it."""
        in_transaction = self.session.in_transaction()
        target = await self._load_with_trash(row, self.model.deleted_at.is_not(None))
        async with self._database_errors(in_transaction=in_transaction):
            await restore(self.session, cast("SoftDelete", target))
        return target

    async def purge(self, row: M | Key) -> None:
        """Delete a row permanently, also from the trash. Raises NotFound, and FieldErrors if rows reference it."""
        in_transaction = self.session.in_transaction()
        target = await self._load_with_trash(row)
        async with self._database_errors(in_transaction=in_transaction, deleting=True):
            await purge(self.session, target)

    async def _load_with_trash(self, row: M | Key, *conditions: ColumnElement[bool]) -> M:
        self.require("delete")
        key = row.id if isinstance(row, Model) else row
        query = self.query().where(self.readable(), self.writable_by("delete"), self._has_key(key), *conditions)
        return await self._load_row(with_deleted(query.with_for_update(of=self.model)))

    async def assign(self, row: M, values: dict[str, Any]) -> None:
        """Set values on a new or existing row. Override it for fields of a schema that have no column."""
        for name, value in values.items():
            setattr(row, name, value)

    def _validated_values(self, schema: type[BaseModel], values: Values, *, all_fields: bool) -> dict[str, Any]:
        """Validate the values with the schema and return those that the user may write, by name."""
        values = self.validated(schema, values)
        names = type(values).model_fields.keys() if all_fields else values.model_fields_set
        return {name: getattr(values, name) for name in names if name not in self.locked_names}

    def validated(self, schema: type[BaseModel], values: Values) -> BaseModel:
        """Validate values with a schema that refuses fields the user may not write. Raises FieldErrors."""
        schema = self.definition.unlocked(schema, self.locked_names)
        return values if isinstance(values, schema) else _validate(schema, values)

    async def _linked_rows(self, row: M, data: Mapping[str, Any], *, is_new: bool) -> dict[str, Any]:
        """Return the rows to link, and check that the user may choose all referenced rows.

        Raises:
            FieldErrors: The user may not choose one of the rows, or it does not exist.
        """
        shape, errors = self.definition.shape, set()
        for name, target in shape.references.items():
            ids = {data.get(name)} - {None, None if is_new else getattr(row, name)}
            if ids and not await self._choosable_rows(target, ids):
                errors.add(name)
        linked: dict[str, Any] = {}
        for name in shape.links.keys() & data.keys():
            ids = set(data[name])
            linked[name] = await self._choosable_rows(shape.links[name], ids)
            if len(linked[name]) < len(ids):
                errors.add(name)
        if errors:
            raise FieldErrors(dict.fromkeys(errors, ENTRY_MISSING))
        return linked

    async def _choosable_rows(self, model: type[Any], ids: Collection[Any]) -> list[Any]:
        if not ids:
            return []
        rows = select(model).where(model.id.in_(ids), self.choosable(model)).order_by(model.id)
        return list(await self.session.scalars(rows))

    @asynccontextmanager
    async def _database_errors(self, *, in_transaction: bool, deleting: bool = False) -> AsyncIterator[None]:
        """Turn constraint violations into FieldErrors, and roll back the statement.

        `in_transaction` means that the caller had already begun a transaction, so a savepoint is needed.
        """
        with translate_database_errors(self.model.__table__, deleting=deleting):
            if in_transaction:
                async with self.session.begin_nested():
                    yield
                return
            try:
                yield
            except Exception:
                await self.session.rollback()
                raise


def _validate(schema: type[BaseModel], values: Values) -> BaseModel:
    if isinstance(values, BaseModel):
        values = {name: getattr(values, name) for name in values.model_fields_set}
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise FieldErrors(messages_by_field(error)) from error
