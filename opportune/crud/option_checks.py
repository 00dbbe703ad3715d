"""Checks of the options of a `Crud` class. Each raises OperatorError with the option and a hint."""

from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import BaseModel

from opportune.accounts.models import User
from opportune.accounts.permissions import refuse_renamed_action
from opportune.crud.declaration import Declaration
from opportune.crud.options import CrudOptions, Permission
from opportune.crud.registry import TeamOwners, team_owners
from opportune.db.models.columns import is_text, is_unique


def check_options(declaration: Declaration, crud_class: type[CrudOptions], team: TeamOwners | None) -> None:
    """Check the paths, the lookup, the owners and the roles in a team. `team` is the model that can own the rows."""
    _check_paths(declaration, crud_class)
    _check_lookup(declaration, crud_class.lookup)
    _check_owners(declaration, crud_class)
    _check_team_roles(declaration, crud_class, team)


def _check_paths(declaration: Declaration, crud_class: type[CrudOptions]) -> None:
    model = crud_class.model
    for name in crud_class.annotations:
        if hasattr(model, name):
            raise declaration.error("annotations", f"{model.__name__} already has {name!r}. Choose another name.")
    for path in crud_class.search:
        declaration.require_readable_path("search", path, text=True)
    for path in crud_class.sort:
        declaration.require_readable_path("sort", path)
    for path in crud_class.order:
        declaration.require_readable_path("order", path.removeprefix("-"))


def _check_lookup(declaration: Declaration, lookup: str) -> None:
    columns = declaration.shape.columns
    declaration.require_one_of("lookup", lookup, columns)
    if lookup != "id" and not (is_text(columns[lookup]) and is_unique(columns[lookup])):
        raise declaration.error("lookup", f"{lookup!r} is not a unique text column. Set unique=True on its field.")


def _check_owners(declaration: Declaration, crud_class: type[CrudOptions]) -> None:
    _check_owner_column(declaration, "owner_column", crud_class.owner_column, {User})
    _check_owner_column(declaration, "team_column", crud_class.team_column, team_owners.keys())
    if crud_class.owner_column or crud_class.team_column:
        return
    for option in ("read_permission", "write_permission"):
        if getattr(crud_class, option) in (Permission.OWNER, Permission.OWNER_OR_PERMITTED):
            raise declaration.error(option, 'rows have no owner. Set its column: owner_column = "user_id".')


def _check_owner_column(
    declaration: Declaration, option: str, column: str | None, owners: AbstractSet[type[Any]]
) -> None:
    references = declaration.shape.references
    if column is None or references.get(column) in owners:
        return
    if references.get(column) in {User, *team_owners}:
        other = "team_column" if option == "owner_column" else "owner_column"
        raise declaration.error(option, f'write {other} = "{column}" instead, which refers to its table.')
    columns = [name for name, target in references.items() if target in owners]
    declaration.require_one_of(option, column, columns or declaration.shape.columns)
    table = "accounts_user" if option == "owner_column" else "teams_team"
    raise declaration.error(option, f"{column!r} is not a foreign key to {table}.id. Make it one.")


def _check_team_roles(declaration: Declaration, crud_class: type[CrudOptions], team: TeamOwners | None) -> None:
    if crud_class.team_roles and not team:
        raise declaration.error("team_roles", 'no team owns the rows. Set its column: team_column = "team_id".')
    for action, role in crud_class.team_roles.items():
        refuse_renamed_action(action)
        declaration.require_one_of("team_roles", role, team.roles if team else (), noun="A team")


def check_write_schemas(declaration: Declaration, crud_class: type[CrudOptions]) -> None:
    """Check that the model has each field of the schemas, which only `assign` could store otherwise."""
    shape = declaration.shape
    for option in ("create_schema", "update_schema"):
        schema: type[BaseModel] | None = getattr(crud_class, option)
        names = schema.model_fields.keys() if schema else set()
        if unknown := names - shape.columns.keys() - shape.links.keys():
            message = f"{shape.model.__name__} has no {min(unknown)!r}. Leave it out, or store it in `assign`."
            raise declaration.error(option, message)
