"""Fuzzing of the API with schemathesis, which sends valid and invalid requests and reports crashes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from opportune.testing.asgi_requests import crashed
from opportune.web.pages import OPENAPI

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy
    from schemathesis import Case

UserHeaders = Sequence[Mapping[str, str]]
"""Request headers of each user that sends the requests."""


def find_crashes(
    app: FastAPI,
    users: UserHeaders,
    examples: int,
    *,
    valid_only: bool = False,
    with_constants: bool = True,
    before_operation: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """Yield each request that crashed the site, as a curl command.

    Args:
        app: The site, before its start.
        users: Headers of the users that send each request.
        examples: Number of valid requests per operation, and of invalid ones.
        valid_only: Whether to send only valid requests.
        with_constants: Whether to send constants from the code of the site, which are slow to read.
        before_operation: Called before each operation, because some operations sign the user out.
    """
    import schemathesis  # slow, and only fuzzing needs it
    from schemathesis.core.result import Err  # as above
    from schemathesis.generation import GenerationMode  # as above
    from schemathesis.python.asgi import shutdown_lifespans  # as above

    with ExitStack() as stack:
        stack.callback(shutdown_lifespans)
        schema: Any = schemathesis.openapi.from_asgi(OPENAPI, app)
        schema.config.analysis.constants.enabled = with_constants
        for result in schema.get_all_operations():
            if isinstance(result, Err):
                raise result.err()
            for mode in (GenerationMode.POSITIVE,) if valid_only else GenerationMode:
                before_operation()
                yield from _find_crashes_of(result.ok().as_strategy(mode), users, examples)


def _find_crashes_of(cases: "SearchStrategy[Case[Any]]", users: UserHeaders, examples: int) -> list[str]:
    from hypothesis import HealthCheck, Phase, given, settings  # as above
    from hypothesis.errors import FailedHealthCheck, Unsatisfiable  # as above

    crashes = []

    def send(case: "Case[Any]") -> None:
        for headers in users:
            response = case.call(headers=dict(headers))
            if crashed(response.status_code, response.text):
                crashes.append(f"{response.status_code} {case.as_curl_command()}")

    # The same examples in each run, so that failures are reproducible.
    run_examples = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=set(HealthCheck) - {HealthCheck.filter_too_much},
    )
    # Hypothesis raises these for an operation without invalid requests, such as one with a single text parameter.
    with suppress(Unsatisfiable, FailedHealthCheck):
        run_examples(given(case=cases)(send))()
    return crashes
