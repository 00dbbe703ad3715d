"""Migrations of translated columns, and of texts that become translated."""

from typing import Any

import pytest
from sqlalchemy import Column, String, inspect, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from opportune.config.settings import using_settings
from opportune.db.migrations.connection import connect
from opportune.db.models.translated import TranslatedColumn, TranslatedText
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

pytestmark = pytest.mark.database("sqlite", "postgresql")


def declare(sample: SampleFeatures, type_: TypeEngine[Any]) -> None:
    sample.table("library_book", Column("title", type_, nullable=False))


@pytest.fixture
def titled(make_sample: MakeSample) -> SampleFeatures:
    """A table whose text column becomes translated."""
    sample = make_sample(lambda new: declare(new, String(80)))
    with connect(sample.settings) as connection, connection.begin():
        connection.execute(sample.metadata.tables["library_book"].insert().values(title="Emma"))
    declare(sample, TranslatedColumn())
    with using_settings(sample.settings.model_copy(update={"language": "de"})):
        sample.make_migrations()
    return sample


def read_title(sample: SampleFeatures) -> Any:
    with connect(sample.settings) as connection:
        return connection.scalar(select(sample.metadata.tables["library_book"].columns.title))


def test_text_becomes_text_in_site_language(titled: SampleFeatures) -> None:
    titled.migrate()
    assert read_title(titled) == TranslatedText({"de": "Emma"})
    assert titled.draft_migrations() == []


def test_downgrade_keeps_text_in_site_language(titled: SampleFeatures) -> None:
    titled.migrate()
    titled.migrate("library", "1")
    declare(titled, String(80))
    assert read_title(titled) == "Emma"


@pytest.mark.database("postgresql")
def test_new_column_is_binary_json(make_sample: MakeSample) -> None:
    sample = make_sample(lambda new: declare(new, TranslatedColumn()))
    with connect(sample.settings) as connection:
        column = inspect(connection).get_columns("library_book")[1]
    assert isinstance(column["type"], JSONB)
    assert sample.draft_migrations() == []
