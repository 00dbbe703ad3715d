"""The fields of a model that users can read and write, and those that can be the title of a row."""

import re
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from opportune.accounts.models import User
from opportune.crud.declaration import Declaration, Shape, secret_name_message
from opportune.crud.options import CrudOptions
from opportune.db.models.choices import choices_of
from opportune.db.models.columns import has_no_input, holds_bytes, incomplete_links_of, is_long, is_text, natural_key_of
from opportune.db.models.sensitive_names import is_privilege, is_secret
from opportune.db.models.soft_delete import SoftDelete, is_trash_column
from opportune.fields.files import file_columns_of

TIMESTAMPS = {"created_at", "updated_at", "modified_at"}
"""Names of columns that users do not set, because the database or the model does."""
PERSONAL = re.compile(r"e_?mail|phone|address", re.IGNORECASE)
"""Names of columns with personal data, which must not be part of a row's title."""


class SchemaOptions(NamedTuple):
    """The options of a `Crud` class that its schemas depend on."""

    crud: type[CrudOptions]
    owners: AbstractSet[str]
    """The columns with the owner of a row."""
    annotations: Mapping[str, Any]
    """Python types of computed values."""
    required: Collection[str] | None = None
    """Fields that every response has, if hidden fields depend on the user. None means that all fields are required."""


def writable_names(shape: Shape, options: SchemaOptions) -> list[str]:
    """Return the fields that users can set when they write a row."""
    if options.crud.write_fields:
        return list(options.crud.write_fields)
    excluded = {*options.crud.exclude, *options.crud.readonly, *TIMESTAMPS, "id", *options.owners}
    excluded.update(incomplete_links_of(shape.mapper))
    excluded.update(name for name, column in shape.columns.items() if has_no_input(column))
    return [name for name in (*shape.columns, *shape.links) if name not in excluded and not _is_protected(shape, name)]


def _is_protected(shape: Shape, name: str) -> bool:
    is_account = issubclass(shape.model, User)
    is_managed = is_privilege(name, of_account=is_account) or is_trash_column(shape.model, name)
    return is_managed or is_secret(name) or shape.references.get(name) is User


def readable_names(shape: Shape, options: SchemaOptions) -> list[str]:
    """Return the fields of a response, in order."""
    if options.crud.read_fields:
        return list(options.crud.read_fields)
    nested_columns = {shape.column_of(name): name for name in options.crud.nested if name in shape.to_one}
    names = [nested_columns.get(name, name) for name in (*shape.columns, *shape.links, *options.annotations)]
    return [name for name in dict.fromkeys((*names, *options.crud.nested)) if _is_readable(shape, options, name)]


def _is_readable(shape: Shape, options: SchemaOptions, name: str) -> bool:
    if name in options.crud.exclude or is_secret(name):
        return False
    is_deleting_user = name == "deleted_by_id" and issubclass(shape.model, SoftDelete)
    return not is_deleting_user and not (name in shape.columns and holds_bytes(shape.columns[name]))


def check_fields(declaration: Declaration, options: SchemaOptions) -> None:
    """Raise OperatorError for unknown names and for fields that no user may write."""
    shape = declaration.shape
    writable = [*shape.columns, *shape.links]
    relations = [*shape.to_one, *shape.links]
    incomplete = {*incomplete_links_of(shape.mapper)}
    for name in options.crud.nested:
        declaration.require_one_of("nested", name, relations)
    for name in options.crud.write_fields:
        declaration.require_one_of("write_fields", name, writable)
        if name == "id" or name in options.owners:
            raise declaration.error("write_fields", f"{name!r} is set by the site. Leave it out.")
        if name in incomplete:
            raise declaration.error("write_fields", f"the link table of {name!r} needs more columns. Leave it out.")
    for option in ("read_fields", "exclude", "readonly"):
        for name in getattr(options.crud, option):
            declaration.require_one_of(option, name, [*writable, *relations, *options.annotations])
    for name in options.crud.read_fields:
        if message := secret_name_message(name):
            raise declaration.error("read_fields", message)


def nested_field_names(shape: Shape) -> list[str]:
    """Return `id`, and the natural key if every user may see it, else the first short text."""
    texts = [*title_candidates(shape)]
    key = natural_key_of(shape.model)
    return ["id", key] if key in texts else ["id", *texts[:1]]


def title_candidates(shape: Shape) -> Iterator[str]:
    """Yield the columns that can be the title of a row for all users: short texts without personal data."""
    files = file_columns_of(shape.model)
    for name, column in shape.columns.items():
        is_private = is_secret(name) or PERSONAL.search(name)
        is_title = is_text(column) and not is_long(column) and name not in files and not is_private
        if is_title and not choices_of(shape.model, name):
            yield name
