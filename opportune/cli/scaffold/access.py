"""Lines of `tests/NAME/access.txt` for a new model: the expected response to each role."""

import re
from collections.abc import Iterator

from opportune.cli.scaffold.new_model import NewModel
from opportune.project.access_lines import HEADING, ROLES, SIGN_IN, AccessLine, parse_line


def with_model_rows(text: str, model: NewModel) -> str:
    """Return the table of a feature with the lines of a model added."""
    lines = [parse_line(line) for line in text.splitlines()[1:]]
    lines += [AccessLine(model.feature, *response) for response in _expected_responses(model)]
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


def _expected_responses(model: NewModel) -> Iterator[tuple[str, str, tuple[str, ...]]]:
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


def _statuses(model: NewModel, method: str, path: str, allowed: str, permission: str) -> tuple[str, ...]:
    """Return the response to each role; `allowed` is the response to users with access."""
    is_api = path.startswith("/api/")
    anonymous = "401" if is_api else SIGN_IN
    is_owned = permission == "owner"
    if is_owned and model.belongs_to_team:  # among the roles only the owner is in a team
        refused = "403" if is_api else "303"
        return (anonymous, refused, allowed, refused, refused)
    # Requests without a body that they need are refused before permissions are checked.
    if is_api and method in ("POST", "PATCH") and not path.endswith("/restore") and not model.belongs_to_team:
        return ("422" if permission == "anyone" else "401", *["422"] * 4)
    if is_owned and f"{{{model.path_parameter}}}" in path:
        return (anonymous, "404", allowed, "404", "404")
    if permission == "anyone":
        return (allowed,) * 5
    users = "403" if permission == "permitted" else allowed
    return (anonymous, users, users, users, allowed)
