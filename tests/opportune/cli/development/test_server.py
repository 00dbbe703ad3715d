"""Server processes: signals, connections, proxies, ports and addresses."""

import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import httpx2
import pytest

from opportune.cli.development import server, sockets
from opportune.config.settings import clear_settings_cache, get_settings, site_url
from opportune.errors import OperatorError
from opportune.project.modules import settings_class
from opportune.testing.plugin import SECRET_KEY
from tests.opportune.cli.conftest import TIMEOUT_SECONDS
from tests.opportune.cli.development.processes import serve_site
from tests.opportune.forked import PROCESSES

SITE = "tests.opportune.streaming_site"


class Server(NamedTuple):
    """A server process."""

    process: BaseProcess
    address: str

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        assert self.process.pid
        os.kill(self.process.pid, number)
        self.process.join(TIMEOUT_SECONDS)
        assert self.process.exitcode is not None
        return self.process.exitcode


@contextmanager
def running_server(
    folder: Path, app: str = "create_app", options: Mapping[str, object] = MappingProxyType({}), **environ: str
) -> Iterator[Server]:
    """Run a server in a forked process."""
    environ = {"ENVIRONMENT": "test", "DATABASE_URL": f"sqlite:///{folder}/app.db", **environ}
    with sockets.reserve("127.0.0.1", 0) as listener:
        listener.listen()
        process = PROCESSES.Process(target=serve_site, args=(listener, f"{SITE}:{app}", environ, {**options}))
        process.start()
        address = sockets.listener_url(listener)
    try:
        yield Server(process, address)
    finally:
        end = process.terminate if options.get("workers") else process.kill  # workers would outlive a killed supervisor
        end()
        process.join()


@pytest.mark.parametrize(
    ("app", "options", "number"),
    [
        ("create_site", {}, signal.SIGTERM),
        ("create_app", {"workers": 2}, signal.SIGTERM),
        ("create_app", {"reload": True}, signal.SIGINT),
    ],
)
def test_signal_ends_streams(tmp_path: Path, app: str, options: dict[str, object], number: signal.Signals) -> None:
    with (
        running_server(tmp_path, app, options) as site,
        httpx2.stream("GET", f"{site.address}/endless", timeout=TIMEOUT_SECONDS) as response,
    ):
        lines = response.iter_lines()
        assert next(lines) == "begun"
        code = site.end(number)
        assert list(lines) == ["ended"]
        assert code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells how many connections wait")
def test_each_worker_gets_connections(tmp_path: Path) -> None:
    with running_server(tmp_path, options={"workers": 2}) as site:
        wait_for_workers(site)
        assert "run_workers" in Path(f"/proc/{site.process.pid}/cmdline").read_text()  # not the command, with the site
        assert "MALLOC_ARENA_MAX=1\0" in Path(f"/proc/{site.process.pid}/environ").read_text()
        for stay_open in (False, True):
            processes = count_connections(site, stay_open=stay_open)
            assert len(processes) == 2
            assert min(processes.values()) > 5


def count_connections(site: Server, *, stay_open: bool) -> Counter[int]:
    """Open connections until both workers have many, and return their numbers by worker."""
    processes = Counter[int]()
    with ExitStack() as clients:
        for _ in range(600):  # a busy machine may delay one of the workers
            client = clients.enter_context(closing(open_client(site)))
            processes[request_process(client)] += 1
            if not stay_open:
                client.close()
            if len(processes) == 2 and min(processes.values()) > 5:
                break
    return processes


def test_workers_are_replaced_without_refused_connections(tmp_path: Path) -> None:
    """Only in production do workers wait for requests on connections that they have accepted."""
    production = {"ENVIRONMENT": "production", "SECRET_KEY": SECRET_KEY, "ALLOWED_HOSTS": "127.0.0.1"}
    with running_server(tmp_path, options={"workers": 2}, **production) as site:
        old_processes = wait_for_workers(site)
        assert site.process.pid
        os.kill(site.process.pid, signal.SIGHUP)
        for _ in range(20_000):  # until 10 responses in a row come from new processes
            if not old_processes & {get_process(site) for _ in range(10)}:
                break
        else:
            pytest.fail("The old workers still serve.")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_no_connection_waits_for_a_stopped_worker(tmp_path: Path) -> None:
    with running_server(tmp_path, options={"workers": 2}) as site:
        stopped_worker, other_worker = wait_for_workers(site)
        assert site.process.pid
        os.kill(site.process.pid, signal.SIGSTOP)  # no replacement starts
        for number in (signal.SIGSTOP, signal.SIGKILL):
            os.kill(stopped_worker, number)
            with ThreadPoolExecutor(8) as threads:
                processes = {*threads.map(lambda _: get_process(site), range(40))}
            assert processes == {other_worker}
        os.kill(site.process.pid, signal.SIGCONT)


def wait_for_workers(site: Server) -> set[int]:
    """Return the ids of two workers, both of which have started."""
    for _ in range(20_000):
        if len(processes := {get_process(site) for _ in range(10)}) == 2:
            return processes
    pytest.fail("A worker is missing.")


def get_process(site: Server) -> int:
    """Open a connection, and return the id of the process that responds."""
    with closing(open_client(site)) as client:
        return request_process(client)


def open_client(site: Server) -> HTTPConnection:
    return HTTPConnection(site.address.removeprefix("http://"), timeout=TIMEOUT_SECONDS)


def request_process(client: HTTPConnection) -> int:
    client.request("GET", "/process")
    return int(client.getresponse().read())


@pytest.mark.parametrize(("trusted", "scheme"), [("192.0.2.1", "http"), ("127.0.0.1", "https")])
def test_only_trusted_proxies_set_the_scheme(tmp_path: Path, trusted: str, scheme: str) -> None:
    with running_server(tmp_path, TRUSTED_PROXIES=trusted) as site:
        response = httpx2.get(f"{site.address}/scheme", headers={"X-Forwarded-Proto": "https"}, timeout=TIMEOUT_SECONDS)
        assert response.json() == scheme


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_limit_of_open_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource  # not there on Windows

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
        server.allow_open_files(200)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert hard == limits[1]
    assert soft == min(200 + sockets.MAX_WAITING_CONNECTIONS + server.RESERVED_OPEN_FILES, hard)
    monkeypatch.setattr(resource, "getrlimit", lambda _limit: (16, 16))
    with pytest.raises(OperatorError, match="ulimit -n 128"):
        server.allow_open_files(200)


def test_port_is_reserved() -> None:
    """Another process cannot take the port, and visitors are refused before the site listens."""
    with sockets.reserve("127.0.0.1", 0) as listener:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listener.getsockname(), timeout=TIMEOUT_SECONDS)
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(sockets.PortTakenError, match=f"Port {port} is in use.*--port"):
            sockets.reserve("127.0.0.1", port)
    with pytest.raises(OperatorError, match=r"192\.0\.2\.1 is not an address of this machine"):
        sockets.reserve("192.0.2.1", 0)


@pytest.mark.parametrize(("hosts", "name"), [([], "127.0.0.1"), (["localhost"], "localhost")])
def test_printed_url_has_an_accepted_host(hosts: list[str], name: str) -> None:
    with sockets.reserve("127.0.0.1", 0) as listener:
        assert sockets.describe_listener(listener, hosts=hosts) == f"http://{name}:{listener.getsockname()[1]}"


def test_links_use_the_served_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings_class().model_config, "env_file", None)
    monkeypatch.setenv("PORT", "8000")  # so that monkeypatch restores it
    clear_settings_cache()
    with sockets.reserve("127.0.0.1", 0) as listener:
        server.set_port(listener, get_settings())
        assert site_url(get_settings()) == sockets.listener_url(listener)
    clear_settings_cache()
