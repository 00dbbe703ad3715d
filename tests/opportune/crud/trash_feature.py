"""The API of tools, which stay in the trash when they are deleted."""

from sqlalchemy import UniqueConstraint, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col

from opportune.crud import Crud, CrudApi, CrudPages
from opportune.db import SoftDelete
from opportune.feature import Accounts, Feature, Person, PersonalData
from tests.opportune.crud.library import user_key
from tests.opportune.site_with import site_fixture
from tests.opportune.tables import UnmigratedTable

TOOLS = "/api/v1/tools"


class Tool(UnmigratedTable, SoftDelete, table=True):
    __tablename__ = "library_tool"
    __table_args__ = (UniqueConstraint("owner_id", "name"),)

    name: str = Field(max_length=50)
    owner_id: int = Field(sa_column=user_key())


class Tools(Crud[Tool]):
    default = True
    owner_column = "owner_id"
    order = ("name",)


class OpenTools(Crud[Tool]):
    """All tools, for users with a permission."""


async def forget_tools(session: AsyncSession, person: Person) -> None:
    for tool in await session.scalars(select(Tool).where(col(Tool.owner_id) == person.id)):
        await session.delete(tool)


tool_feature = Feature(
    "workshop",
    models=[Tool],
    api=[CrudApi(Tools, "/tools").router, CrudApi(OpenTools, "/open-tools").router],
    pages=CrudPages(Tools, "/tools").router,
    accounts=Accounts(personal_data=PersonalData(summary="Your tools", owners=(Tool.owner_id,), forget=forget_tools)),
)
app = site_fixture(tool_feature)
