"""A feature whose rows belong to teams, as in a project, and a site with it."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from sqlalchemy import Column, ForeignKey
from sqlmodel import Field

from opportune.accounts import User
from opportune.admin import AdminView
from opportune.contrib.teams import CurrentTeam, OptionalTeam, Team, TeamAdmin, TeamOwned
from opportune.crud import Crud, CrudApi, CrudPages, writing
from opportune.db import BigId
from opportune.feature import Admin, Feature
from opportune.schemas.text import Line
from tests.opportune.site_with import site_fixture
from tests.opportune.tables import UnmigratedTable


class ProjectTable(TeamOwned):
    metadata = UnmigratedTable.metadata


def key_of(model: Any, *, is_nullable: bool = False) -> Any:
    return Column(BigId, ForeignKey(model.__table__.c.id, ondelete="CASCADE"), nullable=is_nullable, index=True)


class Project(ProjectTable, table=True):
    __tablename__ = "projects_project"

    team_id: int = Field(sa_column=key_of(Team))
    name: Line = Field(min_length=1, max_length=100)


class Task(ProjectTable, table=True):
    __tablename__ = "projects_task"

    team_id: int = Field(sa_column=key_of(Team))
    project_id: int = Field(foreign_key="projects_project.id", ondelete="CASCADE", index=True)
    title: Line = Field(min_length=1, max_length=100)


class Note(UnmigratedTable, table=True):
    """A note of a user, or of a team."""

    __tablename__ = "projects_note"

    team_id: int | None = Field(sa_column=key_of(Team, is_nullable=True))
    user_id: int | None = Field(default=None, sa_column=key_of(User, is_nullable=True))
    name: Line = Field(min_length=1, max_length=100)


class Projects(Crud[Project]):
    team_column = "team_id"
    team_roles = {"delete": "admin", "close": "admin"}
    search = ("name",)


class Tasks(Crud[Task]):
    team_column = "team_id"


class Notes(Crud[Note]):
    owner_column = "user_id"
    team_column = "team_id"
    team_roles = {"delete": "admin"}
    search = ("name",)


class ProjectAdmin(AdminView, model=Project):
    crud = Projects


router = APIRouter(prefix="/board")


@router.get("")
async def board(team: CurrentTeam) -> dict[str, str]:
    return {"team": team.name, "role": team.role}


@router.get("/figures")
async def figures(team: TeamAdmin) -> str:
    return team.name


@router.post("/close")
async def close(projects: Annotated[Projects, writing(Projects, "close")]) -> str:
    return projects.identity()


@router.get("/greeting")
async def greeting(team: OptionalTeam) -> str:
    return team.name if team else "no team"


PATHS: Mapping[str, type[Crud[Any]]] = {"/projects": Projects, "/tasks": Tasks, "/notes": Notes}

projects = Feature(
    "projects",
    admin=Admin((ProjectAdmin,)),
    models=[crud_class.model for crud_class in PATHS.values()],
    pages=[*(CrudPages(crud_class, path).router for path, crud_class in PATHS.items()), router],
    api=[*(CrudApi(crud_class, path).router for path, crud_class in PATHS.items()), router],
)

app = site_fixture(projects)
