"""Python calls per request, beside a plain FastAPI app. Unlike times, they are the same on a busy machine.

    .venv/bin/python -m bench.calls [--rounds 3] [--only sqlite,list]

The site gets each request of `bench.speed` without a server, in production. The calls are those of all its threads;
a resumed generator or coroutine counts as one. `own` includes templates.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.harness.counting import GROUPS
from bench.harness.databases import new_database_urls
from bench.harness.options import BenchmarkParser, exit_status, selected_databases
from bench.harness.servers import PEERS, environment, run
from bench.harness.sites import prepare
from bench.harness.tasks import TASKS

APPS = {"ours": "bench.peers.ours.feature:create", "plain": "bench.peers.plain:app"}
COUNTED = [name for name, task in TASKS.items() if len(task.request_names) == 1]
MAX_CALLS: dict[str, dict[str, int]] = {
    "sqlite": {
        "ping": 210,
        "page": 2670,
        "list": 1160,
        "insert": 980,
        "crud_list": 600,
        "crud_page": 2160,
        "crud_insert": 1040,
        "signed_in_page": 1080,
    },
    "postgresql": {
        "ping": 210,
        "page": 2980,
        "list": 1470,
        "insert": 1180,
        "crud_list": 750,
        "crud_page": 2310,
        "crud_insert": 1250,
        "signed_in_page": 1230,
    },
}
"""Limits per database and task: a quarter above the counts of 30 November 2026."""

Calls = Mapping[str, int]
"""Calls by group of packages."""


def main() -> int:
    parser = BenchmarkParser(__doc__, 3, "the lowest count is taken")
    parser.add_databases(*COUNTED)
    parser.add_size("requests", 21, 2, help="of each kind in each round")
    options = parser.read()
    tasks = [task for task in COUNTED if task in options.only] or COUNTED
    exceeded: list[str] = []
    for database in selected_databases(options):
        ours, plain = (
            fewest([count(database, peer, tasks, options.requests) for _ in range(options.rounds)]) for peer in APPS
        )
        print(f"{database:24}{'plain':>8}{'ours':>8}  of which {''.join(f'{group:>11}' for group in GROUPS)}")
        for task in tasks:
            total = sum(ours[task].values())
            limit = MAX_CALLS[database].get(task)
            groups = "".join(f"{ours[task].get(group, 0):>11}" for group in GROUPS)
            print(f"{TASKS[task].title:24}{sum(plain[task].values()):>8}{total:>8}           {groups}")
            if limit is not None and total > limit:
                exceeded.append(f"{TASKS[task].title} on {database}: {total} calls (at most {limit})")
    return exit_status(exceeded, options)


def fewest(counts: list[dict[str, Calls]]) -> dict[str, Calls]:
    """Return the round with the fewest calls of each task, without work of the site that ran at the same time."""
    return {task: min((count[task] for count in counts), key=lambda calls: sum(calls.values())) for task in counts[0]}


def count(database: str, peer_name: str, tasks: list[str], requests: int) -> dict[str, Calls]:
    """Return the calls of each task."""
    peer = PEERS[peer_name]
    with tempfile.TemporaryDirectory() as folder, new_database_urls(database, Path(folder)) as url:
        peer_url = url(peer_name)
        environ = environment(**peer.environ_for(peer_url))
        cookie = prepare(peer, peer_url, environ)
        counting = ["-m", "bench.harness.counting", APPS[peer_name], cookie, ",".join(tasks), str(requests)]
        output = run(counting, environ)
    counted: dict[str, Calls] = json.loads(output.splitlines()[-1])
    return counted


if __name__ == "__main__":
    sys.exit(main())
