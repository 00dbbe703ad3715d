"""Migration steps that change the type of a column and convert the values of its rows."""

from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

from alembic.operations import ops
from sqlalchemy import DefaultClause, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import Uuid

from opportune.db.migrations.code_operations import CodeOp
from opportune.db.migrations.comparisons import CAST
from opportune.db.migrations.portable_sql import quote_name
from opportune.db.migrations.type_code import portable_type_code
from opportune.db.migrations.value_conversion import Family, family_of, integer_limit, reflected_family
from opportune.db.models.columns import unwrap_type
from opportune.db.models.translated import TranslatedColumn, site_language

IMPORT = "from opportune.db.migrations.conversion import convert_column"
NUMBERS = {Family.INTEGER, Family.DECIMAL, Family.FLOAT}
TIMES = {Family.DATE, Family.DATETIME}


def add_conversions(parts: Iterable[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    """Yield the steps on a table, with `convert_column` for changed types that need a conversion."""
    for part in parts:
        if not (isinstance(part, ops.AlterColumnOp) and _needs_conversion(part)):
            yield part
            continue
        old_default = part.existing_server_default
        new_default = _default_after(part)
        if isinstance(old_default, DefaultClause):  # it may not fit the new type
            yield _alter(
                part, existing_type=part.existing_type, existing_server_default=old_default, modify_server_default=None
            )
        yield _make_conversion(part)
        if part.modify_nullable is not None or new_default:
            yield _alter(
                part,
                existing_type=part.modify_type,
                modify_nullable=part.modify_nullable,
                modify_server_default=new_default,
            )


def _needs_conversion(part: ops.AlterColumnOp) -> bool:
    old = part.existing_type
    new = part.modify_type
    if old is None or new is None or not (reflected_family(old) and reflected_family(new)):
        return False
    if reflected_family(old) is not reflected_family(new):
        return True
    match reflected_family(new):
        case Family.DECIMAL:
            return _integer_digits(new) < _integer_digits(old) or _scale(new) < _scale(old)
        case Family.INTEGER:
            return integer_limit(new) < integer_limit(old)
    return False


def _integer_digits(type_: Any) -> float:
    return inf if type_.precision is None else type_.precision - (type_.scale or 0)


def _scale(type_: Any) -> float:
    return inf if type_.scale is None else type_.scale


def _alter(part: ops.AlterColumnOp, **changes: Any) -> ops.AlterColumnOp:
    """Return a step on the same column with some of its changes."""
    return ops.AlterColumnOp(part.table_name, part.column_name, existing_nullable=part.existing_nullable, **changes)


def _default_after(part: ops.AlterColumnOp) -> Any:
    """Return the default of the changed column. PostgreSQL shows an unchanged one with the old type."""
    old = part.existing_server_default
    if part.modify_server_default is not False or not isinstance(old, DefaultClause):
        return part.modify_server_default
    return DefaultClause(text(CAST.sub("", str(old.arg))))


def _make_conversion(part: ops.AlterColumnOp) -> CodeOp:
    table = part.table_name
    name = quote_name(part.column_name)
    imports = {IMPORT}
    arguments = f"op, {table!r}, {part.column_name!r}, {_conversion_arguments(part, imports)}"
    update = f"UPDATE {quote_name(table)} SET {name} = … WHERE {name} = …"
    lines = (
        f"# FILL: `migrate` fails for values that cannot be converted, and names their rows. Set other values:\n"
        f"# op.execute({update!r})\n"
        f"convert_column({arguments})"
    )
    description = f"Convert {table}.{part.column_name}: see FILL in the file for values that fail"
    return CodeOp(description, lines, sorted(imports))


def _conversion_arguments(part: ops.AlterColumnOp, imports: set[str]) -> str:
    """Return the code of the new type and the options of `convert_column`. Imports of the type are added."""
    type_ = _generic_type(part.modify_type)
    name = quote_name(part.column_name)
    language = site_language()
    if not _changes_translation(part):
        return f"sa.{type_!r}, postgresql_using={_using_expression(part, type_)!r}"
    if isinstance(part.modify_type, TranslatedColumn):
        using = f"jsonb_build_object('{language}', {name})"
        return f"{portable_type_code(part.modify_type, imports)}, postgresql_using={using!r}, language={language!r}"
    using = f"coalesce({name} ->> '{language}', '')"
    return f"sa.{type_!r}, postgresql_using={using!r}, language={language!r}"


def _changes_translation(part: ops.AlterColumnOp) -> bool:
    """Return whether a text becomes a translated text or the reverse."""
    old = part.existing_type
    new = part.modify_type
    families = {reflected_family(old), reflected_family(new)}
    is_translated = isinstance(old, TranslatedColumn) or isinstance(new, TranslatedColumn)
    return is_translated and families == {Family.TEXT, Family.JSON}


def _generic_type(type_: Any) -> Any:
    """Return a portable type instead of a type of one dialect, such as JSONB or CHAR(32) for a UUID."""
    if reflected_family(type_) is Family.UUID:
        return Uuid()
    return unwrap_type(type_).as_generic()


def _using_expression(part: ops.AlterColumnOp, type_: Any) -> str:
    name = quote_name(part.column_name)
    old = reflected_family(part.existing_type)
    new = family_of(type_)
    target = type_.compile(postgresql.dialect()).lower()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    if new is Family.TEXT:
        return f"{name}::text"  # a cast to varchar(n) would truncate
    if new is Family.JSON and old is not Family.TEXT:
        return f"to_{target}({name})"
    if old is Family.JSON:
        return f"({name} #>> '{{}}')::{target}"
    if new is Family.BOOLEAN and old in NUMBERS:
        return f"({name} <> 0)"
    if old is Family.BOOLEAN and new in NUMBERS:
        return f"{name}::integer::{target}"
    is_direct = old is Family.TEXT or {old, new} <= NUMBERS or {old, new} <= TIMES
    return f"{name}::{target}" if is_direct else f"{name}::text::{target}"
