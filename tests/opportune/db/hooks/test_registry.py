"""Registration of hooks, and questions about registered hooks."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db import after_create, after_update, before_create
from opportune.db.database import Database
from opportune.db.hooks.registry import add_after_create, find_hook_error, has_hooks, may_run_hooks, rows_added_with
from opportune.errors import OperatorError
from tests.opportune.db.hooks.plays import Play, Table, Tag, Theatre


async def test_hook_of_a_base_class_runs_for_subclasses(database: Database) -> None:
    recorded_models: list[str] = []

    @after_create(Table)
    async def record_model(session: AsyncSession, row: Table) -> None:
        recorded_models.append(type(row).__name__)

    assert has_hooks(Play)
    async with database.writer() as session:
        session.add(Theatre(name="Globe"))
        session.add(Tag(name="sad"))
    assert sorted(recorded_models) == ["Tag", "Theatre"]


def test_change_hooks_ignore_new_rows() -> None:
    @after_update(Theatre)
    async def ignore(session: AsyncSession, theatre: Theatre) -> None:
        pass

    assert rows_added_with(Theatre) == []


def test_hooks_of_added_rows_need_a_session() -> None:
    @add_after_create(Theatre, Tag)
    def tag_values(theatre: Theatre) -> Mapping[str, Any]:
        return {"name": theatre.name}

    assert [row.model for row in rows_added_with(Theatre) or ()] == [Tag]

    @before_create(Tag)
    async def ignore(session: AsyncSession, tag: Tag) -> None:
        pass

    assert rows_added_with(Theatre) is None


@pytest.mark.usefixtures("calls")
def test_related_models_may_run_hooks() -> None:
    assert [may_run_hooks(model) for model in (Play, Theatre, Tag)] == [True, True, False]


async def hook(session: AsyncSession, play: Play) -> None: ...


def test_feature_with_invalid_hook_is_refused() -> None:
    after_create(Play)(hook)
    assert find_hook_error("plays", [hook]) == ""
    for value, name in ((after_create, "after_create"), ("hook", "'hook'")):
        message = find_hook_error("plays", [value])
        assert message.startswith(f"Feature('plays', hooks=…) lists {name}, which is not a hook.")


def name_play(play: Play) -> str:
    return play.title


def test_invalid_hook_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"@after_create takes a model, .* not 'Play'"):
        after_create("Play")  # type: ignore[arg-type]
    with pytest.raises(
        OperatorError, match=r"test_registry\.name_play: .*@after_create must be `async def` with \(session"
    ):
        after_create(Play)(name_play)  # type: ignore[arg-type]
