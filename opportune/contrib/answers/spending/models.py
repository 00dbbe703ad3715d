"""Tables of usage, reservations of running calls, and shared state."""

from datetime import date, datetime

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field

from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.db import Model, ModelBase, PartialIndex, utc_now

# Payers of daily sums
TOTAL = "total"
SITE_CALLS = "site"
"""The site's jobs and commands."""
VISITORS = "visitors"
OFF = "off"
"""Key of the state "answers are switched off"."""


class LlmUsage(Model, table=True):
    """Usage of one model by one payer, or a sum, on one day in the site's time zone.

    Attributes:
        owner_id: User; None in sums and for deleted users.
        payer: Empty for users; otherwise the name of a sum, or the hashed address of a visitor.
        estimated_tokens: Part of the tokens that was estimated: of stopped answers, and without counts of the endpoint.
        cost_micro: Millionths of the currency.
    """

    __tablename__ = "answers_usage"
    __table_args__ = (
        # Deleted users may have several rows, because NULLs are distinct.
        UniqueConstraint("owner_id", "day", "model", name="uq_answers_usage_owner"),
        PartialIndex("uq_answers_usage_payer", "payer", "day", "model", where="payer <> ''", unique=True),
    )

    day: date = Field(index=True)
    owner_id: int | None = Field(default=None, foreign_key="accounts_user.id", ondelete="SET NULL")
    payer: str = Field(default="", max_length=80)
    model: str = Field(default="", max_length=200)
    calls: int = Field(default=0, sa_type=BigInteger)
    prompt_tokens: int = Field(default=0, sa_type=BigInteger)
    completion_tokens: int = Field(default=0, sa_type=BigInteger)
    estimated_tokens: int = Field(default=0, sa_type=BigInteger)
    cost_micro: int = Field(default=0, sa_type=BigInteger)

    def __str__(self) -> str:
        return f"{self.day} {self.payer or self.owner_id or ''} {self.model}: {self.cost_micro / MICRO_PER_UNIT:.2f}"


class LlmReservation(Model, table=True):
    """Amount reserved for a running call, until its usage is written.

    Attributes:
        expires_at: End of the reservation if its process dies.
    """

    __tablename__ = "answers_reservation"

    payer: str = Field(max_length=80)
    tokens: int = Field(sa_type=BigInteger)
    cost_micro: int = Field(sa_type=BigInteger)
    expires_at: datetime


class LlmState(ModelBase, table=True):
    """State shared by all processes: answers switched off, and notices sent.

    Attributes:
        key: OFF, or the name of a notice that was sent.
        said: E-mail of the superuser who has switched answers off.
    """

    __tablename__ = "answers_state"

    key: str = Field(primary_key=True, max_length=200)
    said: str = Field(default="", max_length=500)
    at: datetime = Field(default_factory=utc_now)
