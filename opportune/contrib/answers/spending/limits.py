"""Limits of tokens and cost in the settings, and what remains of them."""

import sys
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple

from opportune.config.llm_models import MICRO_PER_UNIT, LlmModel
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.llm.call_guard import Payer
from opportune.i18n import LazyText, ngettext
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_day, format_number, is_english

Scope = Literal["person", "visitor", "site"]
Unit = Literal["tokens", "cost"]
Period = Literal["day", "month"]

# If several limits leave the same room, the message names the first of them.
LIMIT_SETTINGS: tuple[tuple[str, Scope, Unit, Period], ...] = (
    ("llm_max_tokens_per_person_per_day", "person", "tokens", "day"),
    ("llm_max_cost_per_person_per_day", "person", "cost", "day"),
    ("llm_max_tokens_per_person_per_month", "person", "tokens", "month"),
    ("llm_max_cost_per_person_per_month", "person", "cost", "month"),
    ("llm_max_tokens_per_visitor_per_day", "visitor", "tokens", "day"),
    ("llm_max_tokens_per_day", "site", "tokens", "day"),
    ("llm_max_cost_per_day", "site", "cost", "day"),
    ("llm_max_tokens_per_month", "site", "tokens", "month"),
    ("llm_max_cost_per_month", "site", "cost", "month"),
)
USED_UP: Mapping[Scope, LazyText] = {
    "person": _l("You have used up your %(amount)s for %(span)s."),
    "visitor": _l("You have used up the %(amount)s that a visitor may use per day."),
    "site": _l("This site has reached its limit of language model answers for %(span)s."),
}
TOO_SMALL = _l("The remainder of your %(amount)s for %(span)s is too small for this question.")
RESERVED: Mapping[Scope, LazyText] = {
    "person": _l("The remainder of your %(amount)s for %(span)s is reserved."),
    "visitor": _l("The remainder of the %(amount)s that a visitor may use per day is reserved."),
    "site": _l("The remainder of this site's limit for %(span)s is reserved."),
}
NEARLY_USED_UP = _l("You have used %(percent)s of your %(amount)s for %(span)s.")
MIN_ANSWER_TOKENS = 64
"""Minimum number of answer tokens that must remain for a call to start."""
UNLIMITED_TOKENS = sys.maxsize
"""Room of a limit of cost for the answer of a model without a price."""


class Sums(NamedTuple):
    """Usage of one payer or of the site: on this day, in this month, and reserved for running calls.

    Costs are in millionths of the currency.
    """

    tokens_day: int = 0
    tokens_month: int = 0
    cost_day: int = 0
    cost_month: int = 0
    tokens_reserved: int = 0
    cost_reserved: int = 0

    def used(self, limit: "Limit") -> int:
        return int(getattr(self, f"{limit.unit}_{limit.period}"))

    def unused(self, limit: "Limit") -> int:
        return limit.amount - self.used(limit)

    def remaining(self, limit: "Limit") -> int:
        """Amount that is neither used nor reserved for running calls."""
        return self.unused(limit) - int(getattr(self, f"{limit.unit}_reserved"))


class LimitedCall(NamedTuple):
    """A call to check against the limits."""

    payer: Payer
    model: LlmModel | None
    prompt_tokens: int = 0
    """Estimated tokens of the prompt."""

    @property
    def min_answer_tokens(self) -> int:
        """Answer tokens that must remain for the call to start."""
        return min(MIN_ANSWER_TOKENS, self.model.max_answer_tokens) if self.model else MIN_ANSWER_TOKENS


@dataclass(frozen=True)
class Limit:
    """A limit in the settings."""

    setting: str
    scope: Scope
    unit: Unit
    period: Period
    amount: int
    """Tokens, or millionths of the currency."""

    @classmethod
    def all_of(cls, settings: AnswersSettings) -> "Iterator[Limit]":
        """Yield the limits that are set."""
        for setting, scope, unit, period in LIMIT_SETTINGS:
            amount = getattr(settings, setting)
            if unit == "cost":
                amount = int(amount * MICRO_PER_UNIT)
            if amount:
                yield cls(setting, scope, unit, period, amount)

    def is_for(self, payer: Payer) -> bool:
        """Return True if calls of this payer count. Limits of the site count those of all payers."""
        return self.scope in ("site", "person" if payer.kind == "user" else payer.kind)

    def renewed_at(self, now: datetime) -> datetime:
        """Return the start of the next period."""
        days = 1 if self.period == "day" else monthrange(now.year, now.month)[1] - now.day + 1
        return datetime.combine(now.date() + timedelta(days=days), time.min, now.tzinfo)

    def period_of(self, day: date) -> str:
        """Return the name of the period, such as 2026-11-21 or 2026-11."""
        return f"{day:%Y-%m-%d}" if self.period == "day" else f"{day:%Y-%m}"

    def answer_room(self, amount: int, call: LimitedCall) -> int:
        """Return the tokens for the answer that an amount of this limit allows. The amount includes the prompt."""
        if self.unit == "tokens":
            return amount - call.prompt_tokens
        model = call.model
        if model is None or not model.has_price:
            return UNLIMITED_TOKENS
        remaining_micro = amount - model.cost_micro(call.prompt_tokens, 0)
        micro_per_token = model.price_per_million_answer_tokens
        if remaining_micro <= 0:
            return 0
        return int(remaining_micro / micro_per_token) if micro_per_token else UNLIMITED_TOKENS


def money(micro: int, currency: str) -> str:
    """Format millionths of a currency: with two digits, or four for small amounts."""
    digits = 2 if micro % 10_000 == 0 or micro >= MICRO_PER_UNIT else 4
    return f"{format_number(micro / MICRO_PER_UNIT, digits)}\N{NO-BREAK SPACE}{currency}"


def period_name(limit: Limit) -> str:
    return _("today") if limit.period == "day" else _("this month")


class LimitMessages:
    """Messages to users and superusers about limits."""

    def __init__(self, settings: AnswersSettings, zone: str) -> None:
        self.currency = settings.llm_currency
        self.zone = zone

    def amount(self, limit: Limit) -> str:
        if limit.unit == "tokens":
            number = format_number(limit.amount)
            return ngettext("%(number)s token", "%(number)s tokens", limit.amount, number=number)
        return money(limit.amount, self.currency)

    def renewal(self, limit: Limit, now: datetime) -> str:
        """Return the time of renewal, such as "midnight (Europe/Berlin)" or "1 December"."""
        if limit.period == "day":
            return _("midnight (%(zone)s)", zone=self.zone)
        renewed = limit.renewed_at(now)
        return f"{renewed.day} {renewed:%B}" if is_english() else format_day(renewed)

    def used_up(self, limit: Limit, now: datetime, *, has_remainder: bool) -> str:
        """Explain a limit to the user. The amount of the site's limits is not disclosed."""
        is_too_small = has_remainder and limit.scope == "person"
        message = self._describe(TOO_SMALL if is_too_small else USED_UP[limit.scope], limit)
        renewal = self.renewal(limit, now)
        if limit.period == "day":
            advice = _("You can ask again at %(time)s.", time=renewal)
        else:
            advice = _("You can ask again on %(day)s.", day=renewal)
        return f"{message} {advice}"

    def reserved(self, limit: Limit) -> str:
        """Explain a refusal that lasts until running answers have ended."""
        advice = _("Ask again when the answers that are being written have ended.")
        return f"{self._describe(RESERVED[limit.scope], limit)} {advice}"

    def nearly_used_up(self, limit: Limit, used: int) -> str:
        return self._describe(NEARLY_USED_UP, limit, percent=f"{100 * used // limit.amount} %")

    def _describe(self, sentence: LazyText, limit: Limit, **values: str) -> str:
        return _(sentence, amount=self.amount(limit), span=period_name(limit), **values)
