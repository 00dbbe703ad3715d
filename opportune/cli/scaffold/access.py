"""Lines of `tests/NAME/access.txt` for a new model: the expected response to each role."""

import re
from collections.abc import Collection, Iterator

from opportune.cli.scaffold.field_types import OWNERS, TIMESTAMPS
from opportune.cli.scaffold.new_model import NewModel
from opportune.project.access_lines import HEADING, ROLES, SIGN_IN, AccessLine, parse_line

ADMIN_STATUSES = {
    ("GET", "create"): "200",
    ("GET", "delete"): "303",
    ("POST", "delete"): "303",
    ("GET", "details/{pk:path}"): "200",
    ("GET", "edit/{pk:path}"): "200",
    ("GET", "export/{export_type}"): "200",
    ("GET", "history/{pk:path}"): "200",
    ("GET", "list"): "200",
    ("POST", "restore-entry/{pk:path}"): "404",
    ("POST", "undo"): "404",
}
"""Responses to a superuser. Other roles get 403."""
STATUSES_OF_FEATURES = {
    "import_export": {  # views import only if they say so
        ("GET", "import"): "403",
        ("POST", "import"): "403",
        ("GET", "import/sample.{type}"): "403",
        ("GET", "import/{file_id}"): "403",
        ("POST", "import/{file_id}"): "403",
        ("GET", "import/{file_id}/errors.{type}"): "403",
    },
    "reports": {("GET", "report"): "200", ("GET", "report/{type}"): "422"},
}
"""Responses to a superuser of the admin pages that optional features add for each model."""
GROUPED_TYPES = ("bool", "date", "datetime", "enum", "reference", *OWNERS, *TIMESTAMPS)
"""Types by which a report can group rows. If a model has one, its report redirects to the default grouping."""
EMPTY_FORMS = (("POST", "create"), ("POST", "edit/{pk:path}"))
"""Pages of the admin whose response to a request without fields depends on the fields."""
MIXIN_STATUSES = {
    "SoftDelete": {("GET", "trash"): "200", ("POST", "trash/purge"): "303", ("POST", "trash/restore"): "303"},
    "Versioned": {("GET", "version/{pk:path}"): "404", ("POST", "version/{pk:path}"): "404"},
}
"""Responses to a superuser of the admin pages of `SoftDelete` and `Versioned` models."""


def with_model_rows(text: str, model: NewModel, features: Collection[str]) -> str:
    """Return the table with the lines of a model added.

    Args:
        text: The table of the feature.
        model: The model.
        features: Names of the installed features, which add pages to the admin.
    """
    lines = [parse_line(line) for line in text.splitlines()[1:]]
    lines += [AccessLine(model.feature, *response) for response in _expected_responses(model, features)]
    lines.sort(key=lambda line: (line.path, line.method))
    return "".join(f"{line}\n" for line in (HEADING, *lines))


def with_deletion_conflict(text: str, path: str, *, belongs_to_team: bool = False) -> str:
    """Return the table with status 422 for deletions at this URL, because another model now refers to the rows."""
    return "".join(f"{_with_conflict(line, path, belongs_to_team=belongs_to_team)}\n" for line in text.splitlines())


def _with_conflict(line: str, path: str, *, belongs_to_team: bool) -> str:
    is_page = re.search(rf" POST +{path}/{{\w+}}/delete ", line)
    if not is_page and not re.search(rf" DELETE +/api/v1{path}/{{\w+}} ", line):
        return line
    access = parse_line(line)
    deleted = "303" if is_page else "204"
    statuses = []
    for role, status in zip(ROLES, access.results, strict=True):
        # Only the owner is in the team, so requests of the other roles are refused earlier.
        may_delete = role == "owner" or not belongs_to_team
        statuses.append("422" if status == deleted and may_delete else status)
    return str(access._replace(results=tuple(statuses)))


def _expected_responses(model: NewModel, features: Collection[str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for (method, path), status in _admin_statuses(model, features).items():
        yield method, f"/admin/{model.placeholders['identity']}/{path}", (SIGN_IN, "403", "403", "403", status)
    pages = model.path
    api = f"/api/v1{model.path}"
    key = f"{{{model.path_parameter}}}"
    empty_form_status = "422" if any(field.is_required for field in model.fields) else "303"
    lookup_permission = model.read if model.belongs_to_team or model.read == "anyone" else "signed-in"
    rows = [
        ("GET", api, "200", model.read),
        ("POST", api, "422", model.write),
        ("GET", f"{api}/{key}", "200", model.read),
        ("PATCH", f"{api}/{key}", "422", model.write),
        ("DELETE", f"{api}/{key}", "204", model.write),
        ("GET", pages, "200", model.read),
        ("GET", f"{pages}/new", "200", model.write),
        ("POST", f"{pages}/new", empty_form_status, model.write),
        ("GET", f"{pages}/new/choices", "404", lookup_permission),
        ("GET", f"{pages}/{key}", "200", model.read),
        ("GET", f"{pages}/{key}/edit", "200", model.write),
        ("POST", f"{pages}/{key}/edit", empty_form_status, model.write),
        ("GET", f"{pages}/{key}/delete", "200", model.write),
        ("POST", f"{pages}/{key}/delete", "303", model.write),
    ]
    if model.soft_delete:  # the rows of the requests are not in the trash
        rows += [("POST", f"{address}/{key}/restore", "404", model.write) for address in (api, pages)]
    for method, path, status, permission in rows:
        yield method, path, _statuses(model, method, path, status, permission)


def _admin_statuses(model: NewModel, features: Collection[str]) -> dict[tuple[str, str], str]:
    is_refused = any(field.is_required or field.type in OWNERS for field in model.fields)
    statuses = ADMIN_STATUSES | dict.fromkeys(EMPTY_FORMS, "400" if is_refused else "303")
    for mixin in model.mixins:
        statuses |= MIXIN_STATUSES[mixin]
    for feature in STATUSES_OF_FEATURES.keys() & features:
        statuses |= STATUSES_OF_FEATURES[feature]
    if "reports" in features and any(field.type in GROUPED_TYPES for field in model.fields):
        statuses["GET", "report"] = "303"
    return statuses


def _statuses(model: NewModel, method: str, path: str, allowed: str, permission: str) -> tuple[str, ...]:
    """Return the response to each role; `allowed` is the response to users with access."""
    is_api = path.startswith("/api/")
    anonymous = "401" if is_api else SIGN_IN
    is_owned = permission == "owner"
    if is_owned and model.belongs_to_team:  # among the roles only the owner is in a team
        refused = "403" if is_api else "303"
        return (anonymous, refused, allowed, refused, refused)
    if is_api and _has_empty_body(method, path) and not model.belongs_to_team:
        return ("422" if permission == "anyone" else "401", *["422"] * 4)
    if is_owned and f"{{{model.path_parameter}}}" in path:
        return (anonymous, "404", allowed, "404", "404")
    if permission == "anyone":
        return (allowed,) * 5
    users = "403" if permission == "permitted" else allowed
    return (anonymous, users, users, users, allowed)


def _has_empty_body(method: str, path: str) -> bool:
    """Return whether the request needs a body. It has none, so it is refused before permissions are checked."""
    return method in ("POST", "PATCH") and not path.endswith("/restore")
