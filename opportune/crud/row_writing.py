"""Write the rows of a model: check the values, and report constraint violations by field."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy import select

from opportune.crud.options import Key, M, Values
from opportune.crud.row_reading import Reading
from opportune.db.constraint_errors import NOT_THERE, translate_database_errors
from opportune.db.models.model import Model
from opportune.errors import FieldErrors
from opportune.web.forms.error_messages import messages_by_field


class Writing(Reading[M]):
    """The methods that write rows. Each can be overridden."""

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
        """Return a new row. It belongs to the user if rows have owners."""
        row: M = self.model()
        if self.owner and self.owner_id is not None:
            setattr(row, self.owner, self.owner_id)
        return row

    async def change(self, row: M | Key, values: Values) -> M:
        """Change the given fields only. Raises NotFound and FieldErrors."""
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
            await self.session.execute(again)  # a page may show the stored values
            raise
        return found

    async def delete(self, row: M | Key) -> None:
        """Delete a row. Raises NotFound, and FieldErrors if other rows need it."""
        keeps = self.session.in_transaction()
        found = await self.get_writable(row.id if isinstance(row, Model) else row, "delete")
        async with self._refusals(keeps=keeps, deleting=True):
            await self.session.delete(found)
            await self.session.flush()

    async def assign(self, row: M, values: dict[str, Any]) -> None:
        """Set values on a new or existing row. Override it for fields of a schema that have no column."""
        for name, value in values.items():
            setattr(row, name, value)

    def _given(self, schema: type[BaseModel], values: Values, *, all_of_it: bool) -> dict[str, Any]:
        """Return the values to write by name, checked by the schema."""
        values = self.validated(schema, values)
        names = type(values).model_fields.keys() if all_of_it else values.model_fields_set
        return {name: getattr(values, name) for name in names if name not in self.locked_names}

    def validated(self, schema: type[BaseModel], values: Values) -> BaseModel:
        """Check values by a schema, without the fields that this user may not write. Raises FieldErrors."""
        schema = self.definition.unlocked(schema, self.locked_names)
        return values if isinstance(values, schema) else _checked(schema, values)

    async def _referred(self, row: M, given: Mapping[str, Any], *, is_new: bool) -> dict[str, Any]:
        """Return the rows to link, and check that the user may choose all rows pointed at.

        Raises:
            FieldErrors: a row does not exist for the user.
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
        there = select(model).where(model.id.in_(numbers), self.choosable(model)).order_by(model.id)
        return list(await self.session.scalars(there))

    @asynccontextmanager
    async def _refusals(self, *, keeps: bool, deleting: bool = False) -> AsyncIterator[None]:
        """Turn constraint violations into FieldErrors, and roll back the statement.

        `keeps` says that the transaction had begun before, so that a savepoint is needed.
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


def _checked(schema: type[BaseModel], values: Values) -> BaseModel:
    if isinstance(values, BaseModel):
        values = {name: getattr(values, name) for name in values.model_fields_set}
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise FieldErrors(messages_by_field(error)) from error
