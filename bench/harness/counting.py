"""Counts Python calls of requests in an ASGI application, in its own process and without a server.

    python -m bench.harness.counting bench.peers.ours.feature:create cookie ping,list 21

Prints JSON: for each task, the calls by group of packages. A resumed generator or coroutine counts as a call.
"""

import asyncio
import json
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from fastapi import FastAPI
from starlette.types import Message, Scope

from bench.harness.load import Request, WrongResponseError
from bench.harness.servers import PROJECT
from bench.harness.tasks import make_requests

GROUPS = ("own", "sqlalchemy", "fastapi", "starlette", "stdlib", "other")
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))


class Calls:
    """Calls by file while counting is on, in all threads that start later."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self._is_on = False
        threading.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and self._is_on:
            self.files[frame.f_code.co_filename] += 1

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Yield a counter that has the calls of the block by group at its end."""
        self.files.clear()
        groups: Counter[str] = Counter()
        self._is_on = True
        sys.setprofile(self._profile)
        try:
            yield groups
        finally:
            sys.setprofile(None)
            self._is_on = False
            for file, count in self.files.items():
                groups[group_of(file)] += count


def group_of(file: str) -> str:
    """Return the group of a file."""
    package = package_of(file)
    if package in GROUPS:
        return package
    return "stdlib" if package in sys.stdlib_module_names else "other"


@cache
def package_of(file: str) -> str:
    """Return the package of a file. Templates are compiled into code without a path, or with that of the template."""
    path = Path(file)
    if path.is_relative_to(SITE_PACKAGES):
        return path.relative_to(SITE_PACKAGES).parts[0]
    if path.is_relative_to(PROJECT) or file == "<template>":
        return "own"
    if path.is_relative_to(STANDARD_LIBRARY):
        return path.relative_to(STANDARD_LIBRARY).parts[0].removesuffix(".py")
    return file.removeprefix("<frozen ").removesuffix(">").partition(".")[0]


async def count_calls(
    app: FastAPI, tasks: Sequence[str], cookie: str, count: int, calls: Calls
) -> dict[str, dict[str, int]]:
    """Return the calls of the request with the fewest calls of each task, after half as many to warm up."""
    requests = make_requests(cookie)
    async with app.router.lifespan_context(app) as state:
        return {task: await _fewest_calls(app, state or {}, requests[task], count, calls) for task in tasks}


async def _fewest_calls(app: FastAPI, state: Any, request: Request, count: int, calls: Calls) -> dict[str, int]:
    for _ in range(count // 2):
        await send(app, state, request)
    counted = []
    for _ in range(count):
        with calls.counting() as groups:
            await send(app, state, request)
        counted.append(groups)
    undisturbed = min(counted, key=Counter.total)  # other tasks of the site run during some requests
    return dict(undisturbed)


async def send(app: FastAPI, state: Any, request: Request) -> None:
    """Send a request to the application.

    Raises:
        WrongResponseError: The response is not the expected one.
    """
    scope, body = scope_of(request)
    messages = [{"type": "http.request", "body": body}]
    sent: list[Message] = []

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()  # the client stays connected
        raise AssertionError

    async def record(message: Message) -> None:
        sent.append(message)

    await app({**scope, "state": dict(state)}, receive, record)
    response = b"".join(message.get("body", b"") for message in sent)
    if sent[0]["status"] != request.status or request.marker not in response:
        raise WrongResponseError(f"{request.raw[:60]!r} returned {sent[0]['status']} {response[:500]!r}")


def scope_of(request: Request) -> tuple[Scope, bytes]:
    """Return the ASGI scope and the body of a request."""
    head, _, body = request.raw.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    method, path, _ = line.split(b" ")
    headers = [line.split(b": ", 1) for line in lines]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method.decode(),
        "scheme": "http",
        "path": path.decode(),
        "raw_path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    return scope, body


def load(name: str) -> FastAPI:
    """Return an application from `module:attribute`, which may be a function that creates it."""
    module, _, attribute = name.partition(":")
    found: FastAPI | Callable[[], FastAPI] = getattr(import_module(module), attribute)
    return found if isinstance(found, FastAPI) else found()


def main() -> None:
    name, cookie, tasks, count = sys.argv[1:]
    calls = Calls()  # before threads start
    print(json.dumps(asyncio.run(count_calls(load(name), tasks.split(","), cookie, int(count), calls))))


if __name__ == "__main__":
    main()
