"""Fuzzing of the API with schemathesis: valid and invalid requests, and those that crash the site."""

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
"""Request headers of each user."""


def faults(
    app: FastAPI,
    people: People,
    examples: int,
    *,
    right_alone: bool = False,
    with_constants: bool = True,
    begin_anew: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """Yield each request that crashed the site, as a curl command.

    Args:
        app: The site, before its start.
        people: Headers of the users that send each request.
        examples: Number of valid requests per operation, and of invalid ones.
        right_alone: Whether to send only valid requests.
        with_constants: Whether to send constants from the code of the site, which are slow to read.
        begin_anew: Called before each operation, because some operations sign the user out.
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

    # The same examples in each run, so that failures are reproducible.
    some = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=set(HealthCheck) - {HealthCheck.filter_too_much},
    )
    # An operation with one text parameter has no invalid requests, which fifty attempts show.
    with suppress(Unsatisfiable, FailedHealthCheck):
        some(given(case=cases)(send))()
    return found
