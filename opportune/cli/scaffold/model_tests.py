"""Generated tests of a new model: valid values, invalid values and access."""

import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from opportune.cli.scaffold.fields import Field
from opportune.cli.scaffold.new_model import NewModel, render_skeleton
from opportune.cli.scaffold.source import with_imports

USER_OWNED = {"owner": "user", "owner_argument": "user: User", "user_arguments": "user: User, staff: User"}
TEAM_OWNED = {"owner": "team", "owner_argument": "team: Team", "user_arguments": "team: Team"}
"""Fixtures of the tests that create a row of an owner."""
TESTING = "opportune.testing"
IMPORTS = (
    (": User", "opportune.accounts", "User"),
    (": Team", "opportune.contrib.teams", "Team"),
    (": Database", "opportune.db", "Database"),
    ("await add_permission(", TESTING, "add_permission"),
    (": Team", TESTING, "make_team"),
)
"""Code of a test module, and the name that it imports."""


def tests_module(model: NewModel) -> str:
    """Return the text of a test module such as `tests/blog/test_posts.py`."""
    placeholders = model.placeholders | {
        "client": {"anyone": "client", "permitted": "superuser_client"}.get(model.write, "user_client"),
        "owner_column": model.owner_column,
        "invalid_data": _invalid_data_code(model),
        "valid_data": _valid_data_fixture(model),
    }
    placeholders["access_tests"] = _access_tests(model, placeholders).strip()
    placeholders["team_fixture"] = _team_fixture(model, placeholders["valid_data"])
    text = render_skeleton("test_model.py", placeholders)
    return f"import pytest\n{with_imports('', _imports(model, text))}\n{text}"


def _imports(model: NewModel, text: str) -> dict[str, set[str]]:
    """Return the names that a test module uses, by module."""
    used = [("typing", "Any"), ("httpx2", "AsyncClient"), (TESTING, "Make")]
    used.append((f"app.{model.feature}.models", model.name))
    used += [(module, name) for code, module, name in IMPORTS if code in text]
    targets = [field.target for field in _references(model) if field.target]
    used += [(f"app.{target.feature}.models", target.name) for target in targets if not target.is_account]
    imports = defaultdict[str, set[str]](set)
    for module, name in used:
        imports[module].add(name)
    return imports


def _writer_user(model: NewModel) -> str:
    return "superuser" if model.write == "permitted" else "user"


def _team_fixture(model: NewModel, valid_data: str) -> str:
    """Return the fixture for the writer's team, if the rows or rows they refer to belong to a team."""
    if not (model.belongs_to_team or "team: Team" in valid_data):
        return ""
    autouse = "(autouse=True)" if model.belongs_to_team else ""
    user = _writer_user(model)
    start = f"@pytest.fixture{autouse}\nasync def team(database: Database, {user}: User) -> Team:"
    return f'{start}\n    """Team of the {user}."""\n    return await make_team(database, {user})\n\n\n'


def _references(model: NewModel) -> list[Field]:
    fields = [field for field in model.fields if field.is_required or field.type == "many"]
    return [field for field in fields if field.target and not field.target.is_itself]


def _sent_fields(model: NewModel) -> list[Field]:
    references = _references(model)
    fields = [field for field in model.fields if field.is_sent and field.type not in ("slug", "image", "file")]
    return [field for field in fields if not field.target or field in references]


def _sample_code(field: Field, fields: list[Field]) -> str:
    """Return the code of a valid value. Later dates and times of the fields have later values."""
    if field.type == "enum":
        return f'"{field.choices[0]}"'
    if field.spec.is_number:
        return _sample_number(field)
    if field.type == "str" and "isbn" in field.name and (field.length or 13) >= 13:
        return '"9780141439518"'
    number = 1 + [other.type for other in fields[: fields.index(field)]].count(field.type)
    text = field.spec.sample.format(label=field.label.lower(), name=field.name, number=number)
    return f'"{text[1:-1][: field.length].strip()}"' if field.length else text


def _sample_number(field: Field) -> str:
    """Return the sample number of the type, moved into the limits of the field."""
    sample = Decimal(field.spec.sample.strip('"'))
    minimum, maximum = (Decimal(field.options.get(limit) or sample) for limit in ("min", "max"))
    number = min(max(sample, minimum), maximum)
    return str(number) if field.type in ("int", "float") else f'"{number}"'


def _invalid_values(field: Field) -> Iterator[str]:
    for value in field.spec.invalid:
        if value != '""' or field.is_required:
            yield value
    if field.length and field.type in ("str", "text", "markdown"):
        yield f'"a" * {field.length + 1}'
    for name, step in (("min", -1), ("max", 1)):
        if limit := field.options.get(name):
            yield str(float(limit) + step) if "." in limit else str(int(limit) + step)


def _invalid_data_code(model: NewModel) -> str:
    values = [f'{{"{field.column}": {value}}}' for field in _sent_fields(model) for value in _invalid_values(field)]
    return f"INVALID_DATA: list[dict[str, Any]] = [{', '.join(values)}]"


def _valid_data_fixture(model: NewModel) -> str:
    """Return the fixture `valid_data` with valid values, and the rows that they refer to."""
    user = _writer_user(model)
    rows = [line for field in _references(model) if not field.is_account for line in _referenced_row(model, field)]
    accounts = {field.name: f"{user}.id" for field in _references(model) if field.is_account}
    sent = _sent_fields(model)
    values = [f'"{field.column}": {accounts.get(field.name) or _sample_code(field, sent)}' for field in sent]
    code = "\n".join([*rows, f"    return {{{', '.join(values)}}}"])
    fixtures = {"make": "Make", user: "User", "team": "Team", "database": "Database"}
    # A row may be named like a fixture: a project's own model Team in a field `team`.
    used = "\n".join([*(line.partition(" = ")[2] or line for line in rows), *accounts.values()])
    arguments = ", ".join(f"{name}: {type_}" for name, type_ in fixtures.items() if re.search(rf"\b{name}\b", used))
    keyword = "async def" if rows else "def"
    signature = f"{keyword} valid_data({arguments}) -> dict[str, Any]:"
    return f'{signature}\n    """Valid values of a form or an API request."""\n{code}'


def _referenced_row(model: NewModel, field: Field) -> Iterator[str]:
    """Yield the code that creates the row a reference points to, visible to the writer."""
    assert field.target
    user = _writer_user(model)
    if field.target.read == "permitted" and user == "user":
        yield f'    await add_permission(database, user, "{field.target.identity}", "list")'
    owner_fixture = "team" if field.target.belongs_to_team else user
    owner = f", {field.target.owner}={owner_fixture}.id" if field.target.owner else ""
    yield f"    {field.name} = await make({field.target.name}{owner})"


def _access_tests(model: NewModel, placeholders: dict[str, str]) -> str:
    placeholders = placeholders | (TEAM_OWNED if model.belongs_to_team else USER_OWNED)
    placeholders["forbidden_status"] = "403" if model.belongs_to_team else "404"
    placeholders["other_owner_argument"] = "" if model.belongs_to_team else f", {model.owner_column}=staff.id"
    if model.read == "owner":
        return render_skeleton("test_private_rows.py", placeholders)
    for action, permission in (("read", model.read), ("write", model.write)):
        placeholders[f"anonymous_{action}"] = "200" if permission == "anyone" else "401"
        placeholders[f"user_{action}"] = "403" if permission == "permitted" else "200"
    skeleton = "test_rows_changed_by_owner.py" if model.write == "owner" else "test_shared_rows.py"
    return render_skeleton(skeleton, placeholders)
