"""The tests of a model that is written: what is sent, what is refused, who may."""

import re
from collections.abc import Iterator
from decimal import Decimal

from opportune.cli.scaffold.fields import Field
from opportune.cli.scaffold.model import NewModel, filled
from opportune.cli.scaffold.module_imports import with_imports
from opportune.cli.scaffold.source import MAX_LINE_LENGTH

OF_PERSON = {"whose": "user", "person": "user: User", "people": "user: User, staff: User", "refused": "404"}
OF_TEAM = {"whose": "team", "person": "team: Team", "people": "team: Team", "refused": "403", "anothers": ""}
"""Names of owners in tests, and the responses to users who own none of the rows."""
ACCOUNTS, TESTING = "opportune.accounts", "opportune.testing"


def tests_module(model: NewModel) -> str:
    """The text of `tests/blog/test_posts.py`."""
    words = model.words | {
        "client": writer_of(model),
        "owner": model.owner.column if model.owner else "",
        "wrong": _wrong(model),
        "new": _new(model),
    }
    words["access"] = "\n\n\n".join([_access(model, words).strip(), *_account_tests(model, words)])
    words["team"] = _team(model, words["new"])
    text = filled("test_model.py", words)
    imports = {"typing": {"Any"}, "httpx": {"AsyncClient"}, f"app.{model.feature}.models": {model.name}}
    imports[TESTING] = {"Make", "grant"} if "await grant(" in text else {"Make"}
    for target in (each.target for each in _pointing(model)):
        if target and not target.is_account:
            imports.setdefault(f"app.{target.feature}.models", set()).add(target.name)
    if ": User" in text:
        imports[ACCOUNTS] = {"User"}
    if ": Team" in text:
        imports[TESTING] |= {"make_team"}
        imports["opportune.contrib.teams"] = {"Team"}
    if ": Database" in text:
        imports["opportune.db"] = {"Database"}
    return _with_pytest(with_imports("", imports)) + "\n" + text


def _with_pytest(imports: str) -> str:
    first, _, rest = imports.partition("\n\n")
    return f"{first}\n\nimport pytest\n{rest}".rstrip() + "\n"


def writer_of(model: NewModel) -> str:
    """The client that may write."""
    return {"anyone": "client", "permitted": "superuser_client"}.get(model.write, "user_client")


def _writer(model: NewModel) -> str:
    return "superuser" if model.write == "permitted" else "user"


def _team(model: NewModel, new: str) -> str:
    """The fixture of the team that whoever writes is in, where rows are a team's, or point at such."""
    if not (model.belongs_to_team or "team: Team" in new):
        return ""
    autouse, person = "(autouse=True)" if model.belongs_to_team else "", _writer(model)
    start = f"@pytest.fixture{autouse}\nasync def team(database: Database, {person}: User) -> Team:"
    return f'{start}\n    """The team that the {person} is in."""\n    return await make_team(database, {person})\n\n\n'


def _pointing(model: NewModel) -> list[Field]:
    wanted = [each for each in model.fields if each.is_required or each.type == "many"]
    return [each for each in wanted if each.target and not each.target.is_itself]


def _sent(model: NewModel) -> list[Field]:
    """Return the fields that tests send: those that a user types."""
    left_out = ("slug", "image", "file")
    pointing = _pointing(model)
    typed = [each for each in model.fields if each.is_sent and each.type not in left_out]
    return [each for each in typed if not each.target or each in pointing]


def _sample(field: Field) -> str:
    if field.type == "enum":
        return f'"{field.choices[0]}"'
    if field.target:
        return field.kind.sample.format(target=field.name)
    if field.kind.is_number:
        return _number(field)
    if field.type == "str" and "isbn" in field.name:
        return '"9780141439518"'
    text = field.kind.sample.format(label=field.label.lower(), name=field.name)
    return f'"{text[1:-1][: field.length].strip()}"' if field.length else text


def _number(field: Field) -> str:
    """The usual one, or the nearest within the bounds."""
    usual = field.kind.sample.strip('"')
    least, most = (Decimal(each or usual) for each in (field.minimum, field.maximum))
    number = str(min(max(Decimal(usual), least), most))
    return number if field.type in ("int", "float") else f'"{number}"'


def _wrong_values(field: Field) -> Iterator[str]:
    for value in field.kind.wrong:
        if value != '""' or field.is_required:
            yield value
    if field.length and field.type in ("str", "text", "markdown"):
        yield f'"a" * {field.length + 1}'
    if field.minimum:
        yield str(float(field.minimum) - 1) if "." in field.minimum else str(int(field.minimum) - 1)
    if field.maximum:
        yield str(float(field.maximum) + 1) if "." in field.maximum else str(int(field.maximum) + 1)


def _wrong(model: NewModel) -> str:
    values = [f'{{"{each.column}": {value}}}' for each in _sent(model) for value in _wrong_values(each)]
    line = f"WRONG: list[dict[str, Any]] = [{', '.join(values)}]"
    if len(line) <= MAX_LINE_LENGTH:
        return line
    rows = "".join(f"    {value},\n" for value in values)
    return f"WRONG: list[dict[str, Any]] = [\n{rows}]"


def _new(model: NewModel) -> str:
    """The fixture of what is sent, with the rows that it points at."""
    person = _writer(model)
    made = [line for each in _pointing(model) if not each.is_account for line in _made(model, each)]
    accounts = {each.name: f"{person}.id" for each in _pointing(model) if each.is_account}
    values = [f'"{each.column}": {accounts.get(each.name) or _sample(each)}' for each in _sent(model)]
    inside = f"    return {{{', '.join(values)}}}"
    if len(inside) > MAX_LINE_LENGTH:
        inside = "    return {\n" + "".join(f"        {value},\n" for value in values) + "    }"
    code = "\n".join([*made, inside])
    needs = {"make": "Make", person: "User", "team": "Team", "database": "Database"}
    # What is made may have a fixture's name, as the row of a field `team: Team` of the project's own.
    used = "\n".join([*(line.partition(" = ")[2] or line for line in made), *accounts.values()])
    arguments = ", ".join(f"{name}: {kind}" for name, kind in needs.items() if re.search(rf"\b{name}\b", used))
    start = "async def" if made else "def"
    return f'{start} new({arguments}) -> dict[str, Any]:\n    """What a form and the API send for a new one."""\n{code}'


def _made(model: NewModel, field: Field) -> Iterator[str]:
    """The row that a reference points at: one that whoever writes may see."""
    assert field.target
    person = _writer(model)
    if field.target.read == "permitted" and person == "user":
        yield f'    await grant(database, user, "{field.target.identity}", "list")'
    whose = "team" if field.target.belongs_to_team else person
    owner = f", {field.target.owner}={whose}.id" if field.target.owner else ""
    yield f"    {field.name} = await make({field.target.name}{owner})"


def _account_tests(model: NewModel, words: dict[str, str]) -> Iterator[str]:
    """Tests of the fields that point at users: who may be chosen, and what the deletion of an account does."""
    if not model.accounts:
        return
    people, choices = {
        "anyone": ("user: User", "((user, 422),)"),
        "permitted": ("user: User", "((user, 201),)"),
    }.get(model.write, ("user: User, staff: User", "((staff, 422), (user, 201))"))
    chosen = ", ".join(f'"{each.column}": account.id' for each in model.accounts)
    yield filled("test_account.py", words | {"people": people, "choices": choices, "chosen": chosen}).strip()
    field = model.accounts[0]
    stays = field.on_delete == "SET NULL"
    outcome = {
        "outcome": "stay" if stays else "go_too",
        "stored": f"stored\n    assert stored.{field.column} is None" if stays else "stored is None",
    }
    yield filled("test_account_deletion.py", words | outcome | {"column": field.column}).strip()


def _access(model: NewModel, words: dict[str, str]) -> str:
    words = words | (OF_TEAM if model.belongs_to_team else OF_PERSON | {"anothers": f", {model.owner_column}=staff.id"})
    if model.read == "owner":
        return filled("test_own.py", words)
    read = {"anyone": "200", "signed-in": "401", "permitted": "401"}[model.read]
    if model.write == "owner":
        return filled("test_owned.py", words | {"read": read})
    write = {"anyone": "200", "signed-in": "401", "permitted": "401"}[model.write]
    user_read, user_write = ("403" if each == "permitted" else "200" for each in (model.read, model.write))
    return filled(
        "test_shared.py", words | {"read": read, "write": write, "user_read": user_read, "user_write": user_write}
    )
