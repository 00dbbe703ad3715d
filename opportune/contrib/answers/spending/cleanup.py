"""Old usage, old answers without an owner, and hashed addresses of visitors."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col

from opportune.contrib.answers.models import Answer
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.db import older_than, utc_now
from opportune.feature import Cleanup

VISITOR_USAGE_DAYS = 3
"""Days after which rows with a visitor's hashed address are deleted. The sum of all visitors is kept."""


def _is_older(days: int) -> ColumnElement[bool]:
    return col(LlmUsage.day) < (utc_now() - timedelta(days=days)).date()


def _is_usage_of_visitor(_settings: Any) -> ColumnElement[bool]:
    return col(LlmUsage.payer).startswith("visitor:") & _is_older(VISITOR_USAGE_DAYS)


def _is_charged_to_visitor(_settings: Any) -> ColumnElement[bool]:
    cutoff = utc_now() - timedelta(days=VISITOR_USAGE_DAYS)
    return col(Answer.charged_to).startswith("visitor:") & (col(Answer.finished_at) < cutoff)


def _is_unowned(settings: Any) -> ColumnElement[bool] | None:
    is_old = older_than(Answer.finished_at, settings.of(AnswersSettings).unowned_answer_days)
    return None if is_old is None else col(Answer.owner_id).is_(None) & is_old


def _is_old_usage_of_user(settings: Any) -> ColumnElement[bool] | None:
    days = settings.of(AnswersSettings).llm_usage_days
    return (col(LlmUsage.payer) == "") & _is_older(days) if days else None


CLEANUPS = (
    Cleanup(LlmUsage, _is_usage_of_visitor),
    Cleanup(Answer, _is_charged_to_visitor, values={"charged_to": ""}),
    Cleanup(LlmUsage, _is_old_usage_of_user),
    Cleanup(Answer, _is_unowned),
)
