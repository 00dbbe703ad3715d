"""Sums of what was used, what running calls have set aside, and whether answers are switched off."""

from datetime import date, datetime

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field

from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.db.models.model import Model, ModelBase, utc_now
from opportune.db.models.partial_index import PartialIndex

TOTAL, OWN, VISITORS = "total", "site", "visitors"
"""Sums of a day: of all, of the site's own jobs and commands, of all visitors."""


OFF = "off"
"""The key of the state that says so."""


class LlmUsage(Model, table=True):
    """What one payer has used of one model on one day of the site's; and such sums."""

    __tablename__ = "answers_usage"
    __table_args__ = (
        # Where the person has left there may be many: NULLs are all different.
        UniqueConstraint("owner_id", "day", "model", name="uq_answers_usage_owner"),
        PartialIndex("uq_answers_usage_payer", "payer", "day", "model", where="payer <> ''", unique=True),
    )

    day: date = Field(index=True)
    owner_id: int | None = Field(default=None, foreign_key="accounts_user.id", ondelete="SET NULL")
    """Whose it is; None in sums, and when the person has left."""
    payer: str = Field(default="", max_length=80)
    """Empty in the row of a person; else the sum that it is, or what stands for a visitor's address."""
    model: str = Field(default="", max_length=200)
    calls: int = Field(default=0, sa_type=BigInteger)
    prompt_tokens: int = Field(default=0, sa_type=BigInteger)
    completion_tokens: int = Field(default=0, sa_type=BigInteger)
    estimated_tokens: int = Field(default=0, sa_type=BigInteger)
    """Those of them that no endpoint has told: of answers that were stopped, and of models that do not tell."""
    cost_micro: int = Field(default=0, sa_type=BigInteger)
    """Millionths of the currency."""

    def __str__(self) -> str:
        return f"{self.day} {self.payer or self.owner_id or ''} {self.model}: {self.cost_micro / MICRO_PER_UNIT:.2f}"


class LlmReservation(Model, table=True):
    """What a running call may use yet: set aside before it begins, and gone when its usage is written down."""

    __tablename__ = "answers_reservation"

    payer: str = Field(max_length=80)
    tokens: int = Field(sa_type=BigInteger)
    cost_micro: int = Field(sa_type=BigInteger)
    expires_at: datetime
    """When it no longer counts, where its process has died."""


class LlmState(ModelBase, table=True):
    """What all processes know: that answers are switched off, and which e-mails have been sent."""

    __tablename__ = "answers_state"

    key: str = Field(primary_key=True, max_length=200)
    said: str = Field(default="", max_length=500)
    at: datetime = Field(default_factory=utc_now)
