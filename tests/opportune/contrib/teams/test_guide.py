"""docs/teams.md is true: its code works on rows of teams."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from opportune.config.project import PROJECT
from opportune.crud import Crud
from opportune.testing.rows import Make
from tests.opportune.contrib.teams.conftest import Crew
from tests.opportune.contrib.teams.projects import Project
from tests.opportune.contrib.teams.test_invitations import Clients
from tests.opportune.contrib.teams.test_rows import app, database

__all__ = ["app", "database"]  # fixtures

pytestmark = pytest.mark.database("sqlite")

GUIDE = (PROJECT / "docs/teams.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


def names_of(with_word: str, **known: Any) -> dict[str, Any]:
    """The names that an example of the guide defines."""
    (code,) = (text for text in BLOCKS if with_word in text)
    exec(code, known)  # noqa: S102 - the guide's own
    return known


def test_its_data_layer_belongs_to_teams() -> None:
    kind = names_of("Crud[Project]", Crud=Crud, Project=Project)["Projects"]
    assert (kind.definition.belongs_to_team, kind.team_roles) == (True, {"delete": "admin"})


async def test_its_routes_know_the_team(app: FastAPI, clients: Clients, crew: Crew, make: Make) -> None:
    known = {"select": select, "col": col, "Project": Project}
    app.include_router(names_of("CurrentTeam, Opt", **known)["router"], prefix="/guide")
    await make(Project, name="Oak", team_id=crew.team.id)
    await make(Project, name="Elm", team_id=crew.foreign.id)
    assert (await clients["member"].get("/guide/board")).json() == ["Oak"]
    assert [(await clients[name].post("/guide/board/close")).status_code for name in ("admin", "member")] == [200, 403]
    assert (await clients["member"].get("/guide/board/greeting")).json() == "Welcome to Crew"
