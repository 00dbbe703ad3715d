"""How much may be used: the limits that the settings name, and what is left of them."""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple

from opportune.config.llm_models import MICRO_PER_UNIT, LlmModel
from opportune.llm.answers.settings import AnswersSettings
from opportune.llm.spending.call_guard import Payer

Scope = Literal["person", "visitor", "site"]
Unit = Literal["tokens", "cost"]
Period = Literal["day", "month"]

MIN_ANSWER_TOKENS = 64
"""Tokens of an answer for which there must be room: for fewer nobody is asked."""


class Sums(NamedTuple):
    """What one payer, or the site, has used in this day and month, and has set aside for calls that run."""

    tokens_day: int = 0
    tokens_month: int = 0
    cost_day: int = 0
    """Millionths, as all costs here."""
    cost_month: int = 0
    tokens_reserved: int = 0
    cost_reserved: int = 0

    def used(self, limit: "Limit") -> int:
        found: int = getattr(self, f"{limit.unit}_{limit.period}")
        return found

    def unused(self, limit: "Limit") -> int:
        return limit.amount - self.used(limit)

    def left(self, limit: "Limit") -> int:
        """What is neither used nor reserved for running calls."""
        reserved: int = getattr(self, f"{limit.unit}_reserved")
        return self.unused(limit) - reserved


@dataclass(frozen=True)
class Limit:
    """One of the settings that are not 0."""

    setting: str
    scope: Scope
    unit: Unit
    period: Period
    amount: int
    """Tokens, or millionths of the currency."""

    @classmethod
    def all_of(cls, settings: AnswersSettings) -> "Iterator[Limit]":
        """Those that are set: of a day before those of a month, of people before those of the site."""
        scopes: tuple[tuple[Scope, str], ...] = (("person", "_per_person"), ("visitor", "_per_visitor"), ("site", ""))
        periods: tuple[Period, ...] = ("day", "month")
        units: tuple[Unit, ...] = ("tokens", "cost")
        for scope, infix in scopes:
            for period in periods:
                for unit in units:
                    name = f"llm_max_{unit}{infix}_per_{period}"
                    if wished := getattr(settings, name, 0):
                        yield cls(name, scope, unit, period, int(wished * (MICRO_PER_UNIT if unit == "cost" else 1)))

    def is_for(self, payer: Payer) -> bool:
        return (
            self.scope == {"user": "person", "visitor": "visitor", "site": "site"}[payer.kind] or self.scope == "site"
        )

    def renewed_at(self, now: datetime) -> datetime:
        """When its next period begins."""
        days = 1 if self.period == "day" else monthrange(now.year, now.month)[1] - now.day + 1
        return datetime.combine(now.date() + timedelta(days=days), time.min, now.tzinfo)

    def period_of(self, day: date) -> str:
        """What its period is called: 2026-11-21 or 2026-11."""
        return f"{day:%Y-%m-%d}" if self.period == "day" else f"{day:%Y-%m}"

    def answer_room(self, left: int, prompt_tokens: int, model: LlmModel | None) -> int | None:
        """Return the tokens that remain for the answer; None if this limit does not apply."""
        if self.unit == "tokens":
            return left - prompt_tokens
        if model is None or not model.has_price:
            return None
        left -= model.cost_micro(prompt_tokens, 0)
        price = model.price_per_million_answer_tokens  # millionths for each token
        if left <= 0:
            return 0
        return int(left / price) if price else None


def worst(rooms: Iterable[tuple[Limit, int | None]]) -> tuple[Limit, int] | None:
    """The limit that leaves the least, with that; None where there is none."""
    return min(((limit, room) for limit, room in rooms if room is not None), key=lambda each: each[1], default=None)


def money(micro: int, currency: str) -> str:
    """Millionths of a currency as people write them; of less than a cent, what there is."""
    digits = 2 if micro % 10_000 == 0 or micro >= MICRO_PER_UNIT else 4
    return f"{micro / MICRO_PER_UNIT:,.{digits}f} {currency}"


class Words:
    """Says what is used up, and when it begins anew."""

    def __init__(self, settings: AnswersSettings, zone: str) -> None:
        self.currency = settings.llm_currency
        self.zone = zone

    def amount(self, limit: Limit) -> str:
        if limit.unit == "tokens":
            return f"{limit.amount:,} tokens"
        return money(limit.amount, self.currency)

    def used_up(self, limit: Limit, now: datetime, *, is_something_left: bool = False) -> str:
        """For whoever asks. What the site may is told to those who run it alone."""
        anew = limit.renewed_at(now)
        when = f"at midnight ({self.zone})" if limit.period == "day" else f"on {anew.day} {anew:%B}"
        span = "today" if limit.period == "day" else "this month"
        told = {
            "person": f"What is left of your {self.amount(limit)} for {span} is too little for this."
            if is_something_left
            else f"You have used up your {self.amount(limit)} for {span}.",
            "visitor": f"Visitors may use {self.amount(limit)} a day, and yours are used up.",
            "site": f"This site has used up what its language models may answer {span}.",
        }[limit.scope]
        return f"{told} You can ask again {when}."

    def reserved(self, limit: Limit) -> str:
        """Explain a refusal that ends when running answers have ended."""
        span = "today" if limit.period == "day" else "this month"
        whose = {
            "person": f"What is left of your {self.amount(limit)} for {span}",
            "visitor": f"What is left of the {self.amount(limit)} that visitors may use a day",
            "site": f"What this site's language models may still answer {span}",
        }[limit.scope]
        return f"{whose} is reserved for answers that are being written. Ask again when they have ended."

    def nearly(self, limit: Limit, used: int) -> str:
        span = "today" if limit.period == "day" else "this month"
        return f"You have used {100 * used // limit.amount} % of your {self.amount(limit)} for {span}."
