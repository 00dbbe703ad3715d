"""Restarts without downtime: a server passes its socket to the next one."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from opportune.errors import OperatorError
from opportune.project.layout import PROJECT
from opportune.server import handover
from opportune.server.shutdown import shutting_down, watch_signals
from opportune.web import health

WAIT_SECONDS = 60
PAUSE_SECONDS = 0.1
"""Pause between requests of a client, so that the new version gets processor time."""

SITE = Path(__file__).with_name("handover_site.txt").read_text(encoding="utf-8")

STAYING_TASK = Path(__file__).with_name("handover_task.txt").read_text(encoding="utf-8")

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")


@posix
async def test_restart_loses_no_request(tmp_path: Path) -> None:
    script, failure_flag = tmp_path / "site.py", tmp_path / "broken"
    script.write_text(SITE)
    async with run_site(script, failure_flag) as (url, process), run_clients(url) as process_ids:
        old_pid = await wait_for_pid(process_ids, lambda pid: pid == process.pid)
        failure_flag.touch()
        os.kill(old_pid, signal.SIGHUP)
        assert await next_line(process) == b"This version is broken.\n"
        failure_flag.unlink()
        assert await next_line(process) == b"The next version did not start (exit code 1). This one keeps running.\n"
        os.kill(old_pid, signal.SIGHUP)
        new_pid = await wait_for_pid(process_ids, lambda pid: pid != old_pid)
        assert await asyncio.to_thread(process.wait, WAIT_SECONDS) == 0
        await wait_for_pid(process_ids, lambda pid: pid == new_pid)
        os.kill(new_pid, signal.SIGTERM)


@posix
async def test_sigterm_also_stops_the_starting_version(tmp_path: Path) -> None:
    script, failure_flag = tmp_path / "site.py", tmp_path / "broken"
    script.write_text(SITE)
    async with run_site(script, failure_flag) as (url, process):
        async with run_clients(url) as process_ids:
            await wait_for_pid(process_ids, lambda pid: pid == process.pid)
        failure_flag.with_suffix(".slow").touch()
        os.kill(process.pid, signal.SIGHUP)
        assert await next_line(process) == b"This version starts slowly.\n"
        os.kill(process.pid, signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, WAIT_SECONDS) == 0
        assert await next_line(process) == b""  # both have ended


@posix
async def test_sigterm_leaves_tasks_that_do_not_end(tmp_path: Path) -> None:
    script = tmp_path / "site.py"
    staying = "    tasks.append(asyncio.create_task(stay()))\n    if scope"
    script.write_text(STAYING_TASK + SITE.replace("    if scope", staying))
    async with run_site(script, tmp_path / "broken") as (url, process):
        async with run_clients(url) as process_ids:
            await wait_for_pid(process_ids, lambda pid: pid == process.pid)
        os.kill(process.pid, signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, WAIT_SECONDS) == 0


@asynccontextmanager
async def run_site(script: Path, failure_flag: Path) -> AsyncIterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        secret = {"SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz"}
        production = {"ENVIRONMENT": "production", "DEBUG": "false", **secret}  # the .env of quickstart sets DEBUG
        inherited_variables = {handover.LISTENER_VARIABLE: str(listener.fileno()), "PYTHONPATH": str(PROJECT)}
        process = subprocess.Popen(  # noqa: ASYNC220 - asyncio's would wait for the pipe, which the next server inherits
            [sys.executable, script, failure_flag],
            env={**os.environ, **production, **inherited_variables},
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with process:
        try:
            yield url, process
        finally:
            process.kill()  # if it is still running


async def next_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stderr
    return await asyncio.wait_for(asyncio.to_thread(process.stderr.readline), WAIT_SECONDS)


@asynccontextmanager
async def run_clients(url: str) -> AsyncIterator[asyncio.Queue[int]]:
    """Send requests, with and without keep-alive. Yield the ids of the responding processes."""
    process_ids: asyncio.Queue[int] = asyncio.Queue(1)

    async def visit(keepalive_connections: int) -> None:
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=keepalive_connections)
        async with httpx2.AsyncClient(base_url=url, timeout=WAIT_SECONDS, limits=limits) as client:
            while True:
                await process_ids.put(int((await client.get("/")).text))
                await asyncio.sleep(PAUSE_SECONDS)

    tasks = [asyncio.create_task(visit(keepalive_connections)) for keepalive_connections in (0, 1, 1)]
    yield process_ids
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}, results


async def wait_for_pid(process_ids: asyncio.Queue[int], matches: Callable[[int], bool]) -> int:
    async with asyncio.timeout(WAIT_SECONDS):
        while not matches(pid := await process_ids.get()):
            pass
    return pid


def test_socket_of_systemd_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert handover.inherited_listener() is None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, number = listener.getsockname()[1], os.dup(listener.fileno())
    monkeypatch.setattr(handover, "SYSTEMD_LISTENER", str(number))
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert handover.inherited_listener() is None  # it belongs to another process
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    inherited_socket = handover.inherited_listener()
    assert inherited_socket is not None
    with inherited_socket:
        assert inherited_socket.getsockname()[1] == port


def test_inherited_unix_socket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        monkeypatch.setenv(handover.LISTENER_VARIABLE, str(unix.fileno()))
        with pytest.raises(OperatorError, match="is not a TCP socket"):
            handover.inherited_listener()


def test_systemd_is_notified_when_ready(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        handover.report_ready()
        assert systemd.recv(100) == f"READY=1\nMAINPID={os.getpid()}".encode()


@posix
async def test_stopping_server_is_not_ready_but_alive(app: FastAPI) -> None:
    app.state.settings = app.state.settings.model_copy(update={"stop_delay_seconds": 0.01})
    handled = asyncio.Event()
    loop = asyncio.get_running_loop()
    previous_handler = signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(handled.set))
    try:
        async with watch_signals(app):
            assert not health.is_stopping(app)
            signal.raise_signal(signal.SIGTERM)
            assert health.is_stopping(app)
            assert not shutting_down(app).is_set()
            await asyncio.wait_for(handled.wait(), WAIT_SECONDS)
            assert shutting_down(app).is_set()
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://testserver") as client:
                assert (await client.get("/health/ready")).status_code == 503
                assert (await client.get("/health/live")).status_code == 200
    finally:
        signal.signal(signal.SIGTERM, previous_handler)


@posix
def test_next_version_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(handover, "stops", threading.Event())
    monkeypatch.setattr(handover, "STOP_TIMEOUT_SECONDS", 0.1)
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.close(int(os.environ['OPPORTUNE_READY']))"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", f"import os, signal; {ignore}; signal.pause()"]
        handover.replace(listener, command, threading.Lock())
    assert "The next version did not start (exit code -9)" in caplog.text


@posix
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_old_process_knows_that_the_next_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "next_version_serves", serves := threading.Event())
    monkeypatch.setattr(os, "kill", lambda *_: None)
    report_ready = "import os; os.write(int(os.environ['OPPORTUNE_READY']), b'1')"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handover.replace(listener, [sys.executable, "-c", "pass"], threading.Lock())
        assert not serves.is_set()
        handover.replace(listener, [sys.executable, "-c", report_ready], threading.Lock())
    assert serves.is_set()
