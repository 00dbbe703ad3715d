"""A site on three web and two worker machines with PostgreSQL, a replica, PgBouncer, Redis, a bucket and a balancer."""

import asyncio
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from opportune.contrib.deploy.rehearsal.fakes import BUCKET, Services
from opportune.contrib.deploy.rehearsal.pgbouncer import pgbouncer
from opportune.testing.services.missing_programs import skip_for_missing
from opportune.testing.services.postgres import Postgres, postgres, replica
from opportune.testing.services.redis import redis
from opportune.testing.services.web_server import serving
from tests.opportune.db.drivers.faulty_proxy import FaultyProxy
from tests.opportune.many.ledger import CREATE_TABLE
from tests.opportune.many.machines import Balancer, Machine

FOLDER = Path(__file__).parent
CLOCK_OFFSETS = {"web1": 0, "web2": 3600, "web3": -3600, "worker1": 3600, "worker2": -3600}
"""Seconds by which the clock of each machine is wrong."""
COPY_SECONDS = 90.0
"""Time for all jobs to end, including those of machines that died."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == FOLDER:
            item.add_marker("machines")


@dataclass
class Site:
    machines: dict[str, Machine]
    balancer: Balancer
    primary: Postgres
    standby: Postgres
    url: str
    """URL of the primary, for checks."""
    services: Services

    @property
    def web(self) -> list[Machine]:
        return [machine for name, machine in self.machines.items() if name.startswith("web")]

    @property
    def workers(self) -> list[Machine]:
        return [machine for name, machine in self.machines.items() if name.startswith("worker")]

    @property
    def balanced_url(self) -> str:
        return f"http://127.0.0.1:{self.balancer.port}"

    def read_keys(self) -> list[str]:
        with psycopg.connect(self.url) as connection:
            return [str(key) for (key,) in connection.execute("SELECT key FROM ledger_entry")]


@pytest.fixture(scope="package")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The site, which stops before the tests of other folders, because it also takes time when it is idle."""
    async with AsyncExitStack() as stack:
        folder = tmp_path_factory.mktemp("many")
        primary = stack.enter_context(postgres())
        # Tests of loss need commits that survive a crash of the server.
        primary.connection.execute("ALTER SYSTEM SET synchronous_commit = on")
        primary.connection.execute("SELECT pg_reload_conf()")
        url = primary.create_database("many")
        standby = stack.enter_context(replica(primary))
        pooled_url = stack.enter_context(pgbouncer(url, 30))
        redis_url = stack.enter_context(redis())
        services = Services()
        service_port = await stack.enter_async_context(serving(services.create_application()))
        environ = _environ(folder, service_port) | {"DATABASE_READER_URL": standby.url("many")}
        machines = {}
        for name in CLOCK_OFFSETS:
            machine = await _connect(stack, name, folder, environ, (pooled_url, url, redis_url))
            stack.callback(machine.kill)
            machines[name] = machine
        site = Site(machines, Balancer([]), primary, standby, url, services)
        await asyncio.to_thread(site.web[0].run, "migrate")
        with psycopg.connect(url) as connection:
            connection.execute(CREATE_TABLE)
        for machine in machines.values():
            machine.start()
        await asyncio.gather(*(machine.wait_until_ready() for machine in site.web))
        site.balancer.machines = site.web
        await stack.enter_async_context(site.balancer.listening())
        checks = asyncio.create_task(site.balancer.check_health())
        yield site
        checks.cancel()


@pytest.fixture(scope="module")
async def complete_site(site: Site) -> AsyncIterator[None]:
    """Check after all failures that each entry and its job were written once. Dead workers' leases have ended then."""
    yield
    deadline = time.monotonic() + COPY_SECONDS
    while without_copy(counts := Counter(await asyncio.to_thread(site.read_keys))) and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    assert not without_copy(counts)
    assert not {key: count for key, count in counts.items() if count > 1}


def without_copy(counts: Counter[str]) -> list[str]:
    return [key for key in counts if "copy of" not in key and "tick" not in key and not counts[f"copy of {key}"]]


def _environ(folder: Path, service_port: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "test",
        "HOST": "127.0.0.1",
        "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz",
        "JOBS": "worker",
        "DATABASE_REPLICA_LAG": "2",
        "STORAGE_URL": f"s3://many:secret@127.0.0.1:{service_port}/{BUCKET}?tls=false",
        "LLM_BASE_URL": f"http://127.0.0.1:{service_port}/v1",
        "LLM_API_KEY": "many",
        "LLM_MODELS": '[{"name": "Rehearsal", "model": "rehearsal", "continues": true}]',
        "ANSWER_GRACE_SECONDS": "1",
        "STOP_DELAY_SECONDS": "1",  # for requests that the balancer has sent but the machine has not accepted
        "LD_PRELOAD": str(_compile_clock(folder)),
    }


def _compile_clock(folder: Path) -> Path:
    compiler = shutil.which("cc") or skip_for_missing("a C compiler", "apt install gcc")
    library = folder / "clock.so"
    source = FOLDER / "clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    return library


async def _connect(
    stack: AsyncExitStack, name: str, folder: Path, environ: dict[str, str], urls: tuple[str, str, str]
) -> Machine:
    """Install a machine whose connections to the database and Redis can be cut."""
    variables, cables = {}, []
    for variable, url in zip(("DATABASE_URL", "DATABASE_DIRECT_URL", "CACHE_URL"), urls, strict=True):
        address = make_url(url)
        assert address.port
        cables.append(FaultyProxy(address.port))
        await stack.enter_async_context(cables[-1].open())
        variables[variable] = address.set(port=cables[-1].port).render_as_string(hide_password=False)
    command = ("runserver", "--workers", "1") if name.startswith("web") else ("worker",)
    offset = {"CLOCK_OFFSET": str(CLOCK_OFFSETS[name])}
    machine = Machine(name, folder / name, command, {**environ, **variables, **offset}, cables)
    machine.install()
    return machine
