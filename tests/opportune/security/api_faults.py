"""What schemathesis makes of an API's document: requests that are right and wrong, and those that crash the site."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from opportune.testing.asgi_requests import crashed
from opportune.web.endpoints.api_docs import OPENAPI

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy
    from schemathesis import Case

People = Sequence[Mapping[str, str]]
"""The headers of each who asks."""


def faults(
    app: FastAPI,
    people: People,
    examples: int,
    *,
    right_alone: bool = False,
    with_constants: bool = True,
    begin_anew: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """Each request that the site could not answer, as a command, among so many for each operation.

    Args:
        app: The site, which has not begun.
        people: Who asks each.
        examples: Of requests that are right, and as many that are wrong.
        right_alone: Whether none is wrong.
        with_constants: Whether to send what stands in the code of the site's modules, which takes long to read.
        begin_anew: Called before each operation: some sign out who asks, who would be a stranger to the next ones.
    """
    import schemathesis  # noqa: PLC0415 - takes long, and only this needs it
    from schemathesis.core.result import Err  # noqa: PLC0415 - as above
    from schemathesis.generation import GenerationMode  # noqa: PLC0415 - as above
    from schemathesis.python.asgi import shutdown_lifespans  # noqa: PLC0415 - as above

    with ExitStack() as stack:
        stack.callback(shutdown_lifespans)
        schema: Any = schemathesis.openapi.from_asgi(OPENAPI, app)
        schema.config.analysis.constants.enabled = with_constants
        for result in schema.get_all_operations():
            if isinstance(result, Err):
                raise result.err()
            for mode in (GenerationMode.POSITIVE,) if right_alone else GenerationMode:
                begin_anew()
                yield from _faults_of(result.ok().as_strategy(mode), people, examples)


def _faults_of(cases: "SearchStrategy[Case[Any]]", people: People, examples: int) -> list[str]:
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415 - as above
    from hypothesis.errors import FailedHealthCheck, Unsatisfiable  # noqa: PLC0415 - as above

    found = []

    def send(case: "Case[Any]") -> None:
        for headers in people:
            response = case.call(headers=dict(headers))
            if crashed(response.status_code, response.text):
                found.append(f"{response.status_code} {case.as_curl_command()}")

    # The same ones each time: a suite that fails now and then teaches nobody.
    some = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=set(HealthCheck) - {HealthCheck.filter_too_much},
    )
    # An operation whose one parameter is any text cannot be asked wrongly: fifty tries tell, as hundreds would.
    with suppress(Unsatisfiable, FailedHealthCheck):
        some(given(case=cases)(send))()
    return found
