"""Run the examples of docs/teams.md."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from opportune.crud import Crud
from opportune.crud.registry import crud_classes
from opportune.testing.rows import Make
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.projects import Project, app, database
from tests.opportune.guides import code_blocks, read_guide, run_code

__all__ = ["app", "database"]  # fixtures

GUIDE = read_guide("teams.md")
BLOCKS = code_blocks(GUIDE)


def run_example(marker: str, **names: Any) -> dict[str, Any]:
    (code,) = (text for text in BLOCKS if marker in text)
    return run_code(code, **names)


def test_crud_example_belongs_to_teams(monkeypatch: pytest.MonkeyPatch) -> None:
    # The guide's class is not a second one of the site.
    monkeypatch.delitem(crud_classes, Project)  # type: ignore[misc]  # mypy infers no type for a class as a key
    projects = run_example("Crud[Project]", Crud=Crud, Project=Project)["Projects"]
    assert (projects.definition.belongs_to_team, projects.team_roles) == (True, {"delete": "admin"})


async def test_route_examples_know_the_team(app: FastAPI, clients: Clients, crew: Crew, make: Make) -> None:
    names = {"select": select, "col": col, "Project": Project}
    app.include_router(run_example("CurrentTeam, Opt", **names)["router"], prefix="/guide")
    await make(Project, name="Oak", team_id=crew.team.id)
    await make(Project, name="Elm", team_id=crew.other_team.id)
    assert (await clients["member"].get("/guide/board")).json() == ["Oak"]
    assert [(await clients[name].post("/guide/board/close")).status_code for name in ("admin", "member")] == [200, 403]
    assert (await clients["member"].get("/guide/board/greeting")).json() == "Welcome to Crew"
