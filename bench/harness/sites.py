"""Sites of the peers with their running servers."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.harness.databases import PREPARED_VARIABLE
from bench.harness.load import Request, WrongResponseError, drive
from bench.harness.servers import PEERS, Peer, Server, environment, run, serve
from bench.harness.tables import Figure
from bench.harness.tasks import ADDITIONAL_ROWS_VARIABLE, Task


@dataclass(frozen=True)
class Site:
    server: Server
    cookie: str
    """Cookie of a signed-in user."""
    environ: Mapping[str, str]


def prepare(peer: Peer, url: str, environ: Mapping[str, str]) -> str:
    """Create tables and rows, and return the cookie of a signed-in user.

    Benchmarks with SQLite and no additional rows copy the files of `PREPARED_VARIABLE`, if `.ci/run` has set it.
    """
    arguments = ["-m", peer.prepare]
    shared_folder = environ.get(PREPARED_VARIABLE)
    if not shared_folder or ADDITIONAL_ROWS_VARIABLE in environ or not url.startswith("sqlite:///"):
        return run(arguments, environ)
    file = Path(url.removeprefix("sqlite:///"))
    prepared = Path(shared_folder, peer.prepare)
    if not prepared.exists():
        folder = Path(tempfile.mkdtemp(dir=shared_folder))
        (folder / "cookie").write_text(run(arguments, environ), encoding="utf-8")
        shutil.copyfile(file, folder / "site.db")
        with suppress(OSError):  # another benchmark was faster
            folder.rename(prepared)
    shutil.copyfile(prepared / "site.db", file)
    return (prepared / "cookie").read_text(encoding="utf-8")


@contextmanager
def serve_site(
    url: str, folder: Path, variables: Mapping[str, str] = {}, name: str = "ours", peer: Peer | None = None
) -> Iterator[Site]:
    """Prepare a database for a peer, and serve its site until the block ends.

    Args:
        url: URL of the database.
        folder: Folder of the log, which has the name of the site.
        variables: Additional environment variables.
        name: Name of the site.
        peer: Peer to serve. By default the one with this name.
    """
    peer = peer or PEERS[name]
    environ = environment(**peer.environ_for(url), **variables)
    cookie = prepare(peer, url, environ)
    with serve(peer.serve, environ, folder / f"{name}.log") as server:
        yield Site(server, cookie, environ)


@contextmanager
def serve_on_sqlite(variables: Mapping[str, str] = {}) -> Iterator[Site]:
    """Serve our site on a new SQLite file until the block ends."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_site(f"sqlite:///{folder}/site.db", Path(folder), variables) as site,
    ):
        yield site


@dataclass(frozen=True)
class Contestant:
    """Site to which a client in another process sends requests."""

    name: str
    server: Server
    requests: Mapping[str, Request]
    client: Executor

    def run_task(self, task: Task, count: int) -> Figure:
        """Send the requests of a task. A wrong response ends the program."""
        before = self.server.cpu_seconds()
        requests = [self.requests[name] for name in task.request_names]
        try:
            seconds = self.client.submit(drive, self.server.port, requests, count, task.connections).result()
        except WrongResponseError as error:
            sys.exit(f"{self.name}, {task.title}: {error}")
        return Figure((self.server.cpu_seconds() - before) / count * 1e6, count / seconds)
