"""Declarations of `SoftDelete` models."""

import subprocess
import sys

import pytest

from opportune.accounts import UserBase
from opportune.db import Model, SoftDelete
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT

CODE = """
import sys
from sqlmodel import Field
from opportune.db import Model, SoftDelete

class Base(Model, SoftDelete):
    pass

class Thing(Base, table=True):
    __tablename__ = "test_thing"

assert "opportune.db.sessions.trash" not in sys.modules
from sqlalchemy import select
from opportune.db.sessions.trash import hide_deleted
print(hide_deleted(select(Thing.id)))
"""


def test_queries_hide_rows_of_models_declared_first() -> None:
    result = subprocess.run([sys.executable, "-c", CODE], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "deleted_at IS NULL" in result.stdout


def test_users_cannot_be_soft_deleted() -> None:
    with pytest.raises(OperatorError, match="Clear is_active to keep a user from signing in"):
        type("Member", (UserBase, SoftDelete), {"__module__": __name__})


@pytest.mark.parametrize("days", ["x", -1, True, 1.5])
def test_keep_deleted_days_is_a_number_or_none(days: object) -> None:
    with pytest.raises(OperatorError, match=r"Scrap\.keep_deleted_days is .*\. Write a number of days, or None\."):
        type("Scrap", (Model, SoftDelete), {"__module__": __name__, "keep_deleted_days": days})
