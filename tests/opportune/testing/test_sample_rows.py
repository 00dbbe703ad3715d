"""Sample rows of models whose columns depend on each other."""

from dataclasses import replace
from datetime import date, datetime, time
from typing import Annotated

import pytest
from pydantic import StringConstraints
from sqlalchemy import CheckConstraint, select
from sqlmodel import col

from opportune.db import Database
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.project.installed import installed_features
from opportune.testing import Make
from opportune.testing.sample_rows import FUTURE, insert_sample_rows, sample_row
from tests.opportune.stored_rows import add_rows, read_one
from tests.opportune.tables import UnmigratedTable, make_tables


class Booking(UnmigratedTable, table=True):
    __tablename__ = "sampled_booking"
    __table_args__ = (CheckConstraint("ends_on > starts_on AND ends_at > starts_at AND closes > opens", "order"),)

    starts_on: date
    ends_on: date
    starts_at: datetime
    ends_at: datetime
    opens: time
    closes: time
    least: int
    most: int
    icon: Annotated[str, StringConstraints(pattern="^book$")] = "book"


async def test_values_increase_by_column(database: Database, make: Make) -> None:
    await make_tables(database, Booking)
    made = await make(Booking)
    await add_rows(database, sample_row(Booking, UnmigratedTable.metadata.tables["sampled_booking"], {}))
    sample = await read_one(database, select(Booking).where(col(Booking.id) != made.id))
    assert sample.starts_at == FUTURE


def features_with(values: dict[str, object]) -> list[Feature]:
    """The installed features, with values for the sample team."""
    features = [feature for feature in installed_features() if feature.models]
    index = next(index for index, feature in enumerate(features) if feature.name == "teams")
    data = replace(features[index].data, sample_rows={features[index].models[0]: values})
    features[index] = replace(features[index], data=data)
    return features


async def test_refused_sample_row_is_explained_in_one_sentence(database: Database) -> None:
    with pytest.raises(OperatorError) as refusal:
        await insert_sample_rows(database, features_with({"name": None}))
    assert str(refusal.value).startswith("No sample row of Team: NOT NULL constraint failed: teams_team.name. ")
    assert str(refusal.value).endswith("Give its values in data=Data(sample_rows={Team: {…}}).")
