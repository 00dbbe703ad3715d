"""Validation of a request for a new model."""

import builtins
import keyword
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from opportune.cli.scaffold.existing_models import ExistingModels
from opportune.cli.scaffold.feature_names import check_path
from opportune.cli.scaffold.field_definitions import IMPORTED_NAMES, MIXIN_NAMES, check_mixins, parse_fields
from opportune.cli.scaffold.field_types import OWNERS
from opportune.cli.scaffold.fields import Field
from opportune.cli.scaffold.new_model import PERMISSION_LEVELS, ModelRequest, NewModel
from opportune.cli.scaffold.words import plural, snake
from opportune.errors import OperatorError
from opportune.project.installed import feature_of_table
from opportune.web.static.icons import unknown_icon_message

MAX_NAME_LENGTH = 24
MAX_GROUP_LENGTH = 150
CRUD_NAMES = {"AdminView", "Crud", "CrudApi", "CrudPages", "Permission", "Request", "Response"}
TEST_NAMES = {"Any", "AsyncClient", "Database", "Make"}
RESERVED_NAMES = {*dir(builtins), *IMPORTED_NAMES, *MIXIN_NAMES, *CRUD_NAMES, *TEST_NAMES}
"""Names that the generated code imports or uses. A model with such a name would replace them."""


def plan_model(project: Path, request: ModelRequest) -> NewModel:
    """Validate a request and return the model to add."""
    models = ExistingModels(project)
    _check_model_name(request.name, models)
    fields = parse_fields(request.definitions, request.feature, request.name, models)
    check_mixins(request.mixins, fields, models)
    is_owned = any(field.type in OWNERS for field in fields)
    read, write = (_check_permission(value, is_owned=is_owned) for value in (request.read, request.write))
    _check_writers(read, write, fields)
    if request.icon:
        _check_icon(request.icon)
    if request.group:
        _check_group(request.group)
    path = request.path or f"/{plural(snake(request.name)).replace('_', '-')}"
    check_path(project, path)
    model = NewModel(**vars(replace(request, read=read, write=write, path=path)), fields=fields)
    if other := next((existing for existing in models.all if existing.table == model.table), None):
        raise OperatorError(f"{other.feature} already has a table {model.table}. Choose another name.")
    _check_owners(model, models)
    return model


def _check_owners(model: NewModel, models: ExistingModels) -> None:
    """Check that each table belongs to its feature, which the beginning of its name decides."""
    features = [*models.installed_names]
    owners = {existing.table: feature_of_table(existing.table, features) for existing in models.all}
    owners |= dict.fromkeys(model.tables, model.feature)
    for table, owner in owners.items():
        new_owner = feature_of_table(table, [*features, model.feature])
        if owner not in (new_owner, None):
            raise OperatorError(f"The table {table} of {owner} would belong to {new_owner}. Choose another name.")


def _check_model_name(name: str, models: ExistingModels) -> None:
    if not re.fullmatch(r"[A-Z][a-z0-9]+([A-Z][a-z0-9]*)*", name) or len(name) > MAX_NAME_LENGTH:
        raise OperatorError(
            f"{name!r} is not a model name. Use a singular noun such as BookReview, "
            f"with at most {MAX_NAME_LENGTH} letters."
        )
    if keyword.iskeyword(name) or name in RESERVED_NAMES:
        raise OperatorError(f"{name!r} is reserved by Python or by the generated code. Choose another name.")
    if other := models.find_by_name(name):
        raise OperatorError(f"{other.feature} already has a model {other.name}. Choose another name.")


def _check_permission(value: str, *, is_owned: bool) -> str:
    if not value:
        return "owner" if is_owned else "permitted"
    if value not in PERMISSION_LEVELS:
        raise OperatorError(f"{value!r} is not a permission. Choose anyone, signed-in, permitted or owner.")
    if value == "owner" and not is_owned:
        raise OperatorError("The rows have no owner. Add the field `owner` or `team`.")
    return value


def _check_writers(read: str, write: str, fields: Sequence[Field]) -> None:
    if read == "owner" and write != "owner":
        raise OperatorError("--read owner: only the owner can write rows that only the owner can read. Omit --write.")
    if write != "owner" and any(field.type == "team" for field in fields):
        raise OperatorError("team: only members of the team can write its rows. Omit --write.")
    account = next((field.name for field in fields if field.is_account and field.is_required), None)
    if account and write == "anyone":
        raise OperatorError(
            f"{account}: visitors who are not signed in cannot choose an account. Write {account}:account:optional, "
            "or omit --write."
        )


def _check_icon(icon: str) -> None:
    is_name = re.fullmatch("[a-z0-9-]+", icon)
    if message := unknown_icon_message(icon) if is_name else f"{icon!r} is not an icon name.":
        raise OperatorError(f"{message} Choose one from tabler.io/icons: --icon book.")


def _check_group(name: str) -> None:
    is_safe = re.fullmatch(r'[^"\\{}]+', name) and name.isprintable() and name == name.strip()
    if not is_safe or len(name) > MAX_GROUP_LENGTH:
        raise OperatorError(
            f"{name!r} is not a group name. Use at most {MAX_GROUP_LENGTH} letters, digits, spaces and hyphens."
        )
