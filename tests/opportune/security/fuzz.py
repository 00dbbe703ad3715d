"""What schemathesis makes of the API's document: `python -m tests.opportune.security.fuzz --examples 200`."""

import argparse
import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from opportune.testing.plugin import migrate
from opportune.testing.services.postgres import postgres
from opportune.web.api_docs import OPENAPI
from tests.opportune.security.access import everyone, site_at
from tests.opportune.security.asgi_requests import crashed

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy
    from schemathesis import Case

People = Sequence[Mapping[str, str]]
"""The headers of each who asks."""


async def people_of(app: FastAPI) -> People:
    """Somebody who owns a row of everything, and nobody. Starts and stops the app."""
    async with app.router.lifespan_context(app):
        everybody = await everyone(app)
    return everybody["owner"], everybody["anonymous"]


def faults(app: FastAPI, people: People, examples: int) -> Iterator[str]:
    """Each request that the site could not answer, as a command, among so many for each operation."""
    import schemathesis  # noqa: PLC0415 - takes long, and only this needs it
    from schemathesis.core.result import Err  # noqa: PLC0415 - as above
    from schemathesis.generation import GenerationMode  # noqa: PLC0415 - as above
    from schemathesis.python.asgi import shutdown_lifespans  # noqa: PLC0415 - as above

    with ExitStack() as stack:
        stack.callback(shutdown_lifespans)
        schema = schemathesis.openapi.from_asgi(OPENAPI, app)
        for result in schema.get_all_operations():
            if isinstance(result, Err):
                raise result.err()
            for mode in GenerationMode:
                yield from _faults_of(result.ok().as_strategy(mode), people, examples)


def _faults_of(cases: "SearchStrategy[Case[Any]]", people: People, examples: int) -> list[str]:
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415 - as above
    from hypothesis.errors import Unsatisfiable  # noqa: PLC0415 - as above

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
        suppress_health_check=list(HealthCheck),
    )
    with suppress(Unsatisfiable):  # an operation without parameters cannot be asked wrongly
        some(given(case=cases)(send))()
    return found


def run(url: str, examples: int, say: Callable[[str], object]) -> int:
    """Fill an empty database and ask; give the number of faults."""
    migrate(url)
    people = asyncio.run(people_of(site_at(url)))
    found = list(faults(site_at(url), people, examples))
    say("\n".join([*found, f"{len(found)} faults on {url.partition(':')[0]}"]))
    return len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="for each operation, valid and invalid")
    examples = parser.parse_args().examples
    logging.disable()
    with TemporaryDirectory() as folder, postgres() as server:
        urls = f"sqlite:///{Path(folder) / 'site.db'}", server.create_database("fuzzed")
        found = sum(run(url, examples, lambda text: os.write(1, f"{text}\n".encode())) for url in urls)
    raise SystemExit(min(found, 1))


if __name__ == "__main__":
    main()
