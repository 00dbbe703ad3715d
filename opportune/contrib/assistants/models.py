"""Tables of assistants."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints
from sqlmodel import Field, SQLModel

from opportune.accounts.models import OwnerId
from opportune.config.llm_models import MAX_MODEL_NAME_LENGTH
from opportune.contrib.answers import ALL_TOOLS
from opportune.contrib.assistants.variables import PromptText
from opportune.db import BigId, Model, utc_now
from opportune.fields.contents import ListOf
from opportune.i18n import LazyText
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.annotations import FieldOptions
from opportune.schemas.text import Line, Text

MAX_NAME_LENGTH = 100
MAX_INSTRUCTIONS_LENGTH = 20_000
MAX_STARTERS, MAX_STARTER_LENGTH = 6, 1_000
MAX_TOOLS = 100
MAX_FACT_LENGTH = 200
MAX_TOOL_NAME_LENGTH = 100
"""Length of the name of a tool, with the part to which it is limited: `search_knowledge:3`."""
DEFAULT_ICON = "ti-robot"
ICONS = {
    DEFAULT_ICON: _l("Robot"),
    "ti-book": _l("Book"),
    "ti-briefcase": _l("Briefcase"),
    "ti-bulb": _l("Idea"),
    "ti-chart-bar": _l("Chart"),
    "ti-code": _l("Code"),
    "ti-language": _l("Languages"),
    "ti-lifebuoy": _l("Help"),
    "ti-pencil": _l("Pencil"),
    "ti-school": _l("School"),
}
ToolName = Annotated[str, StringConstraints(max_length=MAX_TOOL_NAME_LENGTH)]
Starter = Annotated[Line, StringConstraints(max_length=MAX_STARTER_LENGTH)]
Icon = Annotated[str, StringConstraints(pattern=f"^({'|'.join(ICONS)})$")]


class Audience(StrEnum):
    """Users who may use a row. Those of a team may also change it, and the site's rows need a permission."""

    ME = "me"
    TEAM = "team"
    SITE = "site"

    @property
    def label(self) -> LazyText:
        return AUDIENCES[self]


AUDIENCES = {Audience.ME: _l("Only me"), Audience.TEAM: _l("My team"), Audience.SITE: _l("Everyone on this site")}


class SharedRow(SQLModel):
    """Mixin for named rows that belong to a user, a team or the site.

    Attributes:
        shared_with: Users who may use it.
        team_id: The team. Not a foreign key, because teams are an optional feature.
        shared_at: Time when it got its owner. A row that is older than its team belonged to a deleted one.
    """

    shared_with: Annotated[Audience, FieldOptions(AUDIENCES)] = Field(default=Audience.ME, title="Available to")
    team_id: int | None = Field(default=None, sa_type=BigId, index=True)
    shared_at: datetime = Field(default_factory=utc_now)
    name: Line = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    description: Line = Field(default="", max_length=300)
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.name


class Assistant(Model, SharedRow, table=True):
    """A language model with a name, instructions and tools.

    Attributes:
        instructions: System prompt. Only users who may change the assistant see it.
        model: A name of LLM_MODELS. Empty for the first.
        tools: Names of tools that it may call, or `*` for all.
        knowledge: Parts of tools to which the assistant is limited, such as collections: `search_knowledge:3`.
        starters: Questions offered in an empty conversation.
    """

    __tablename__ = "assistants_assistant"

    owner_id: OwnerId | None = None
    icon: Icon = Field(default=DEFAULT_ICON, max_length=40)
    instructions: Text = Field(
        default="",
        max_length=MAX_INSTRUCTIONS_LENGTH,
        description="Users who may only use the assistant cannot read it.",
    )
    model: Line = Field(default="", max_length=MAX_MODEL_NAME_LENGTH)
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="From 0 to 2. Empty for the default of the model."
    )
    tools: Annotated[list[ToolName], FieldOptions(type="checkboxes")] = Field(
        default_factory=lambda: [ALL_TOOLS], max_length=MAX_TOOLS
    )
    knowledge: Annotated[list[ToolName], FieldOptions(type="checkboxes")] = Field(
        default_factory=list, max_length=MAX_TOOLS, nullable=True, description="None ticked: all documents of the user."
    )
    starters: ListOf[Starter] = Field(
        default_factory=list, max_length=MAX_STARTERS, title="Starter questions", description="One on each line."
    )


class Prompt(Model, SharedRow, table=True):
    """A text for the question field, with variables."""

    __tablename__ = "assistants_prompt"

    owner_id: OwnerId | None = None
    text: PromptText = Field(
        description="Variables: {{topic}} asks for a text, {{tone:friendly|formal}} offers a choice."
    )


class Memory(Model, table=True):
    """A fact about a user."""

    __tablename__ = "assistants_memory"

    owner_id: OwnerId
    text: Line = Field(min_length=1, max_length=MAX_FACT_LENGTH, title="Fact")
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.text


class MemoryConsent(Model, table=True):
    """Exists while a user has turned memory on."""

    __tablename__ = "assistants_memory_consent"

    owner_id: OwnerId = Field(unique=True)
    created_at: datetime = Field(default_factory=utc_now)
