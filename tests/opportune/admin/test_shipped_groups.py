"""Groups that features ship: created by `migrate`, then edited by the owner."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlmodel import col

from opportune.accounts.management import list_groups
from opportune.accounts.models import Group, GroupPermission
from opportune.admin import shipped_groups
from opportune.admin.declared_permissions import DeclaredPermissions
from opportune.application import create_app
from opportune.cli.development import feature_checks
from opportune.db.database import Database
from opportune.db.migrations.post_migrate import due_statements, run_due_statements
from opportune.errors import OperatorError
from opportune.feature import Accounts, Feature
from opportune.project.installed import installed_features
from opportune.testing.plugin import settings_for
from opportune.web.rendering import template_errors
from tests.opportune.admin.bookshelf_feature import Book, BookTag

Groups = Mapping[str, Mapping[str, str | Sequence[str]]]
ACTIONS = "create, delete, export, get, import, list, update"


def make_feature(groups: Groups) -> Feature:
    return Feature("books", models=[Book, BookTag], accounts=Accounts(groups=groups))


async def migrate(database: Database, monkeypatch: pytest.MonkeyPatch, *features: Feature) -> None:
    monkeypatch.setattr(shipped_groups, "installed_features", lambda: features)
    async with database.engine.begin() as connection:
        await connection.run_sync(run_due_statements)
        assert await connection.run_sync(due_statements) == []


async def read_groups(database: Database) -> dict[str, list[str]]:
    async with database.reader() as session:
        return {name: permissions for name, _, permissions in await list_groups(session)}


async def test_migrate_merges_groups_of_features(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    films = Feature("films", accounts=Accounts(groups={"Librarians": {"book-tag": "list"}}))
    groups: Groups = {"Librarians": {"book": "*", "book-tag": ["update"]}, "Friends": {"book": "list"}}
    await migrate(database, monkeypatch, make_feature(groups), films)
    assert await read_groups(database) == {
        "Friends": ["book:list"],
        "Librarians": [*(f"book:{action}" for action in ACTIONS.split(", ")), "book-tag:list", "book-tag:update"],
    }


@pytest.mark.database("sqlite", "postgresql")
async def test_migrate_keeps_changes_and_adds_permissions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await migrate(database, monkeypatch, make_feature({"Librarians": {"book": ["list", "update"]}}))
    async with database.writer() as session:
        await session.execute(delete(GroupPermission).where(col(GroupPermission.action) == "update"))
        group = (await session.scalars(select(Group))).one()
        session.add(GroupPermission(group_id=group.id, identity="user", action="list"))
    await migrate(database, monkeypatch, make_feature({"Librarians": {"book": ["list", "update", "export"]}}))
    assert await read_groups(database) == {"Librarians": ["book:export", "book:list", "user:list"]}


async def test_migrate_does_not_recreate_a_deleted_group(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = {"Librarians": {"book": ["list"]}, "Friends": {"book": ["list"]}}
    await migrate(database, monkeypatch, make_feature(shipped))
    async with database.writer() as session:
        await session.execute(delete(Group).where(col(Group.name) == "Friends"))
        await session.execute(update(Group).values(name="Staff"))
    await migrate(database, monkeypatch, make_feature({name: {"book": ["list", "update"]} for name in shipped}))
    assert await read_groups(database) == {"Staff": ["book:list"]}


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"Staff": {"bok": "*"}}, "there is no model 'bok' in an installed feature. Did you mean book?"),
    ({"Staff": {"Book": "*"}}, "there is no model 'Book' in an installed feature. Did you mean book?"),
    ({"Staff": {"*": "*"}}, "there is no model '*' in an installed feature."),
    ({"Staff": {"book": ["list", "updte"]}}, f"book has no action 'updte'. There are: {ACTIONS}. Did you mean update?"),
    (
        {"Staff": {"book": ["read"]}},
        f"book has no action 'read'. There are: {ACTIONS}. @action(\"read\", …) in its admin view adds action:read.",
    ),
    ({"Staff": {"book": ["edit"]}}, f"book has no action 'edit'. There are: {ACTIONS}. It is called update now."),
    ({"Staff": {"book": []}}, f"book has no action ''. There are: {ACTIONS}."),
    ({"Staff": {"membership": "*"}}, "membership is for superusers only."),
    ({"Staff": {}}, "a group needs a name of at most 150 characters and a model."),
]


def test_unknown_names_of_groups_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for values, line in FAULTS:
        features = [*installed_features(), make_feature(values)]
        assert f"Feature('books', accounts=Accounts(groups=…)): Staff: {line}" in DeclaredPermissions(features).faults()
    with pytest.raises(OperatorError) as refused:
        create_app(settings_for("sqlite:///unused.db"), features)
    assert str(refused.value) == f"Feature('books', accounts=Accounts(groups=…)): Staff: {line}"
    monkeypatch.setattr(feature_checks, "installed_features", lambda: features)
    findings = feature_checks.check_permissions(settings_for("sqlite:///x.db"))
    assert str(refused.value) in [finding.text for finding in findings]


def test_check_reports_unknown_permission_in_a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_errors, "TEMPLATE_FOLDERS", (tmp_path, tmp_path / "none"))
    text = '{% if may("user", "list") %}\n{% if may("usr", "list") %}{% endif %}{% endif %}'
    (tmp_path / "list.html").write_text(text)
    (finding,) = feature_checks.check_permissions(settings_for("sqlite:///unused.db"))
    assert "list.html:2: may('usr', 'list'): there is no model 'usr'" in finding.text
    assert finding.text.endswith("Did you mean user?")
