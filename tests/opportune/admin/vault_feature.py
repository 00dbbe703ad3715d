"""Files of a vault: their rules hide rows of other users and a field, and they have a trash, versions and a list."""

from collections.abc import Collection
from datetime import date

from fastapi import FastAPI
from sqlmodel import Field

from opportune.accounts.models import User
from opportune.admin import AdminView
from opportune.crud import Crud, Permission
from opportune.db import SoftDelete, Versioned
from opportune.feature import Admin, Feature
from opportune.schemas.text import Text
from opportune.testing.factories import add_permission
from tests.opportune.crud.library import user_key
from tests.opportune.stored_rows import make_staff
from tests.opportune.tables import UnmigratedTable

ACTIONS = ("list", "get", "create", "update", "delete", "export", "import")


class Dossier(UnmigratedTable, SoftDelete, Versioned, table=True):
    __tablename__ = "test_dossier"

    title: str = Field(max_length=200)
    body: Text = ""
    rating: str = Field(default="", max_length=50)
    """Hidden from users without the permission `rating`."""
    stage: str = Field(default="new", max_length=50)
    """Read-only for users without the permission `rating`."""
    opened_on: date | None = None
    keeper_id: int = Field(sa_column=user_key())

    def __str__(self) -> str:
        return self.title


class Dossiers(Crud[Dossier]):
    owner_column = "keeper_id"
    read_permission = write_permission = Permission.OWNER
    search = ("title", "rating")

    def hidden_fields(self) -> Collection[str]:
        return () if self.may("rating") else {"rating"}

    def readonly_fields(self) -> Collection[str]:
        return () if self.may("rating") else {"stage"}


class DossierAdmin(AdminView, model=Dossier):
    crud = Dossiers
    can_import = True
    columns = ("title", "rating", "stage", "opened_on")
    editable = ("title", "rating", "stage", "opened_on")
    search = ("title", "rating")
    filters = ("rating", "stage", "opened_on", "keeper_id")
    date_hierarchy = "opened_on"


vault = Feature("vault", "For tests.", models=(Dossier,), admin=Admin((DossierAdmin,)))


async def make_keeper(app: FastAPI, *actions: str) -> User:
    """Return staff with these permissions for dossiers, by default all but the one for ratings."""
    user = await make_staff(app)
    for action in actions or ACTIONS:
        await add_permission(app.state.database, user, "dossier", action)
    return user


async def add_dossier(app: FastAPI, keeper: User, title: str, *, in_trash: bool = False) -> int:
    async with app.state.database.writer() as session:
        dossier = Dossier(
            title=title, body="old", rating="first-rating", keeper_id=keeper.id, opened_on=date(2026, 3, 1)
        )
        session.add(dossier)
        await session.flush()
        dossier.rating, dossier.stage, dossier.body = "second-rating", "later-stage", "new"
        await session.flush()
        if in_trash:
            await session.delete(dossier)
    return dossier.id
