"""A tool with which models make pictures for their answers."""

from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import Field

from opportune.accounts.dependencies import CurrentUser
from opportune.contrib.answers import Answers, stored_attachments
from opportune.contrib.answers.engine.tool_runs import PICTURE_TOOL
from opportune.contrib.llm.dependencies import Llm
from opportune.contrib.tools import tool
from opportune.contrib.tools.site_tools import offer
from opportune.i18n import gettext_lazy as _l
from opportune.web import Upload

PICTURE_SECONDS = 180
"""Maximum duration of a call. Pictures take longer than other tools."""
MAX_PICTURE_NAME_LENGTH = 60
Description = Annotated[str, Field(min_length=1, max_length=4_000)]


async def make_image(user: CurrentUser, llm: Llm, answers: Answers, description: Description) -> dict[str, Any]:
    """Make a picture from a description. The user sees it above the answer, so do not link to it."""
    picture = await llm.image(description)
    sent = Upload(f"{description[:MAX_PICTURE_NAME_LENGTH]}.png", picture.content)
    async with stored_attachments(answers.storage, user.id, [sent]) as rows, answers.database.writer() as session:
        session.add_all(rows)
        await session.flush()
        return {"picture": {"id": rows[0].id, "description": description}}


picture_tool = tool(
    make_image, name=PICTURE_TOOL, status=_l("Making a picture"), asks=False, max_seconds=PICTURE_SECONDS
)


def offer_pictures(app: FastAPI) -> None:
    """Let models make pictures, if the site has a model for them."""
    if app.state.llm.offers("image"):
        offer(app, "pictures", [picture_tool])
