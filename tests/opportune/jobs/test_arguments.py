"""Arguments of jobs: their form in the database, the types that the function gets, and refused values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, SecretStr

from opportune.accounts.models import User
from opportune.errors import OperatorError
from opportune.jobs import JobContext, JobDefinition, job
from opportune.jobs.models import JobState
from tests.opportune.jobs.conftest import Find, MakeQueue


class Order(BaseModel):
    due: date
    amounts: list[Decimal]


class Login(BaseModel, extra="allow"):
    password: SecretStr | None = None

    def __iter__(self) -> Any:  # such as that of Pydantic's example for RootModel
        return iter(())


@dataclass(slots=True)
class Point:
    x: int


USER = User(email="ann@example.com", hashed_password="")
received: list[Any] = []


@pytest.fixture(autouse=True)
def _received() -> None:
    received.clear()


def job_with(annotation: Any) -> JobDefinition[Any]:
    """Return a job with an argument of this type."""

    async def run(_: JobContext, value: object) -> None:
        received.append(value)

    run.__annotations__["value"] = annotation
    return job("test.typed", attempts=1)(run)


VALUES = [
    (UUID, UUID(int=7), str(UUID(int=7))),
    (datetime, datetime(2026, 3, 29, 2, 30, tzinfo=UTC), "2026-03-29T02:30:00Z"),
    (set[int], {3}, [3]),
    (dict[int, date], {1: date(2026, 1, 2)}, {"1": "2026-01-02"}),
    (Order, Order(due=date(2026, 1, 2), amounts=[Decimal("0.1")]), {"due": "2026-01-02", "amounts": ["0.1"]}),
    (Point | None, Point(1), {"x": 1}),
    (Any, "a\0b \ud800", "a\0b \ud800"),
]


@pytest.mark.parametrize(("annotation", "value", "stored"), VALUES)
async def test_job_gets_a_value_of_its_annotated_type(
    annotation: Any, value: object, stored: object, make_queue: MakeQueue, find: Find
) -> None:
    typed = job_with(annotation)
    queue = make_queue(typed)
    job_id = await queue.enqueue(typed(value))
    assert (await find(job_id)).arguments == [stored]
    async with queue.running():
        assert await queue.wait_until_ended(job_id) == JobState.DONE
    assert received == [value]


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (int, "seven", "Job test.typed: value: Input should be a valid integer"),
        (Any, object(), "Job test.typed: value is no JSON value, but object."),
        (UUID | str, UUID(int=1), "Job test.typed: value is UUID, which the job would get as str."),
        (Any, SecretStr("key"), "Job test.typed: value is secret."),
        (Login, Login.model_validate({"token": SecretStr("key")}), "Job test.typed: value is secret."),
        (User, USER, "Job test.typed: value is a row. Queue its key, because the row may"),
        (Mapping[str, Any], {"user": USER}, "Job test.typed: value is a row."),
    ],
)
def test_value_that_cannot_be_stored_is_refused(annotation: Any, value: object, message: str) -> None:
    with pytest.raises(OperatorError) as error:
        job_with(annotation)(value)
    assert str(error.value).startswith(message)


def test_refused_value_is_not_in_the_message() -> None:
    with pytest.raises(OperatorError) as error:
        job_with(int)("secret-key")
    assert "secret-key" not in str(error.value)


async def test_stored_argument_of_another_type_fails_the_job(make_queue: MakeQueue, find: Find) -> None:
    old, new = job_with(str), job_with(int)
    job_id = await make_queue(old).enqueue(old("seven"))
    async with make_queue(new).running() as _:
        assert await make_queue(new).wait_until_ended(job_id) == JobState.FAILED
    message = "Job test.typed: value: Input should be a valid integer, unable to parse string as an integer."
    assert (await find(job_id)).error == message


async def test_result_of_a_step_is_the_same_in_each_attempt(make_queue: MakeQueue) -> None:
    @job("test.steps", attempts=2, wait=0)
    async def steps(run: JobContext) -> None:
        received.append(await run.step(make_key))
        if len(received) == 1:
            raise ValueError("again")

    async def make_key() -> UUID:
        return UUID(int=7)

    queue = make_queue(steps)
    async with queue.running():
        assert await queue.wait_until_ended(await queue.enqueue(steps())) == JobState.DONE
    assert received == [str(UUID(int=7))] * 2
