"""Expected responses at the addresses of a new model: its lines of `tests/NAME/access.txt`."""

import re
from collections.abc import Iterator

from opportune.cli.scaffold.model import NewModel

ROLES = ("anonymous", "user", "owner", "staff", "superuser")
SIGN_IN = "sign-in"
ADMIN = {
    ("GET", "ajax/lookup"): "404",
    ("GET", "create"): "200",
    ("POST", "create"): "400",
    ("GET", "delete"): "303",
    ("POST", "delete"): "303",
    ("GET", "details/{pk:path}"): "200",
    ("GET", "edit/{pk:path}"): "200",
    ("POST", "edit/{pk:path}"): "400",
    ("GET", "export/{export_type}"): "200",
    ("GET", "history/{pk:path}"): "200",
    ("GET", "import"): "403",
    ("POST", "import"): "403",
    ("GET", "list"): "200",
}
"""Responses to a superuser; all others are refused."""


def access_table(model: NewModel, text: str, *, by_hand: bool = False) -> str:
    """The table with the lines of a model in their places."""
    heading, *lines = text.splitlines() or [_line("from", "method", "address", ROLES)]
    lines += [_line(model.feature, method, path, answers) for method, path, answers in _rows(model, by_hand=by_hand)]
    return "".join(f"{line}\n" for line in (heading, *sorted(lines, key=_place)))


def undeletable(text: str, path: str, *, belongs_to_team: bool = False) -> str:
    """Return the table for rows at this address that can no longer be deleted: another model points at them."""
    return "".join(f"{_refused(line, path, belongs_to_team=belongs_to_team)}\n" for line in text.splitlines())


def _refused(line: str, path: str, *, belongs_to_team: bool) -> str:
    is_page = re.search(rf" POST +{path}/{{\w+}}/delete ", line)
    if not is_page and not re.search(rf" DELETE +/api/v1{path}/{{\w+}} ", line):
        return line
    source, method, address, *answers = line.split()
    deleted = "303" if is_page else "204"
    # Of a team's rows the others are answered as before they have one.
    changed = (
        "422" if answer == deleted and (role == "owner" or not belongs_to_team) else answer
        for role, answer in zip(ROLES, answers, strict=True)
    )
    return _line(source, method, address, tuple(changed))


def _line(source: str, method: str, path: str, answers: tuple[str, ...]) -> str:
    return f"{source:9} {method:6} {path:62} {' '.join(f'{each:9}' for each in answers)}".rstrip()


def _place(line: str) -> tuple[str, str]:
    _, method, path, *_ = line.split()
    return path, method


def _rows(model: NewModel, *, by_hand: bool) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for (method, path), answer in ADMIN.items():
        yield method, f"/admin/{model.words['identity']}/{path}", (SIGN_IN, "403", "403", "403", answer)
    pages, api, one = model.path, f"/api/v1{model.path}", f"{{{model.key}}}"
    refused = "422" if any(each.is_required for each in model.fields) else "303"
    finder = model.read if model.belongs_to_team or model.read == "anyone" else "signed-in"
    rows = [
        ("GET", api, "200", model.read),
        ("POST", api, "422", model.write),
        ("GET", f"{api}/{one}", "200", model.read),
        ("PATCH", f"{api}/{one}", "422", model.write),
        ("DELETE", f"{api}/{one}", "204", model.write),
        ("GET", pages, "200", model.read),
        ("GET", f"{pages}/new", "200", model.write),
        ("POST", f"{pages}/new", refused, model.write),
        *([] if by_hand else [("GET", f"{pages}/new/choices", "404", finder)]),
        ("GET", f"{pages}/{one}", "200", model.read),
        ("GET", f"{pages}/{one}/edit", "200", model.write),
        ("POST", f"{pages}/{one}/edit", refused, model.write),
        ("GET", f"{pages}/{one}/delete", "200", model.write),
        ("POST", f"{pages}/{one}/delete", "303", model.write),
    ]
    for method, path, answer, access in rows:
        yield method, path, _answers(model, method, path, answer, access)


def _answers(model: NewModel, method: str, path: str, answer: str, access: str) -> tuple[str, ...]:
    """Responses to each role. `answer` is for those with access."""
    is_api = path.startswith("/api/")
    stranger = "401" if is_api else SIGN_IN
    if access == "owner" and model.belongs_to_team:  # of the roles only the owner is in a team
        teamless = "403" if is_api else "303"
        return (stranger, teamless, answer, teamless, teamless)
    if is_api and method in ("POST", "PATCH") and not model.belongs_to_team:  # an empty body is refused before the user
        return ("422" if access == "anyone" else "401", *["422"] * 4)
    if access == "owner" and f"{{{model.key}}}" in path:
        return (stranger, "404", answer, "404", "404")
    if access == "anyone":
        return (answer,) * 5
    return (stranger, *["403" if access == "permitted" else answer] * 3, answer)
