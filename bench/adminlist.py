"""The admin's list of 100,000 rows beside Django's admin with the same rows, columns and filters.

    .venv/bin/python -m bench.adminlist [--rounds 5] [--requests 40] [--only sqlite] [--rows 100000]

Whole servers of one worker each, as in `bench.speed`. The processor time per request of the server's processes must be
at most 0.5 times Django's. The latency of single requests is printed without a limit. On PostgreSQL it is mostly the
time of the database, which is the same for both. A list of 100 rows with editable cells must cost at most 1.2 times the
plain list.
"""

import sys
from argparse import Namespace
from collections.abc import Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from bench.harness.databases import NewUrl, run_on_databases
from bench.harness.options import BenchmarkParser
from bench.harness.sites import Contestant, serve_site
from bench.harness.tables import Figures
from bench.harness.tasks import ADDITIONAL_ROWS_VARIABLE, Task, page_request
from bench.speed import measure

MAX_RATIO = 0.5
LISTS = {"ours": "/admin/item/list", "django": "/admin/django_site/item/"}
PAGES = {
    "the list": {"ours": "", "django": ""},
    "its second page": {"ours": "?page=2", "django": "?p=2"},
    "its last page": {"ours": "?position=last", "django": "?p={last_page}"},
    "sorted by title": {"ours": "?sortBy=title&sort=asc", "django": "?o=2"},
    "filtered by done": {"ours": "?done=true", "django": "?done__exact=1"},
    "a search": {"ours": "?search=note+77", "django": "?q=note+77"},
}
ROWS_PER_PAGE = 25
EDITABLE_PAGES = {
    "100 rows": "/admin/item/list?pageSize=100",
    "100 editable rows": "/admin/editable-item/list?pageSize=100",
}
"""Pages of our site only: a list, and the same list with `editable`."""
TASKS = {page: Task(page, (page,), connections=1) for page in (*PAGES, *EDITABLE_PAGES)}
MAX_EDITABLE_RATIO = 1.2


def main() -> int:
    parser = BenchmarkParser(__doc__, 5)
    parser.add_size("requests", 40, 1, help="of each kind in each round")
    parser.add_size("rows", 100_000, 200)
    return run_on_databases(parser, run_on)


def run_on(options: Namespace, kind: str, new_url: NewUrl, folder: Path) -> list[str]:
    with ProcessPoolExecutor(1, get_context("spawn")) as client, ExitStack() as stack:
        contestants = [start(stack, name, new_url(name), folder, client, options.rows) for name in LISTS]
        tasks = {page: TASKS[page] for page in PAGES}
        figures = measure(contestants, tasks, options.rounds, options.requests)
        editable = measure_editable(contestants[0], options.rounds, options.requests)
    return [*report(kind, options.rows, figures), *report_editable(kind, editable)]


def start(stack: ExitStack, name: str, url: str, folder: Path, client: Executor, rows: int) -> Contestant:
    variables = {ADDITIONAL_ROWS_VARIABLE: str(rows), "JOBS": "off"}
    site = stack.enter_context(serve_site(url, folder, variables, name))
    last_page = (rows + 19) // ROWS_PER_PAGE + 1
    # The oldest rows, on the last page, have other titles.
    requests = {
        page: page_request(
            LISTS[name] + query[name].format(last_page=last_page), site.cookie, "Item" if "last" in page else "Entry"
        )
        for page, query in PAGES.items()
    }
    if name == "ours":
        requests |= {page: page_request(path, site.cookie, "Entry") for page, path in EDITABLE_PAGES.items()}
    return Contestant(name, site.server, requests, client)


def measure_editable(ours: Contestant, rounds: int, count: int) -> dict[str, float]:
    """Return the processor milliseconds of each page."""
    for page in EDITABLE_PAGES:
        ours.run_task(TASKS[page], 2)
    figures = [{page: ours.run_task(TASKS[page], count) for page in EDITABLE_PAGES} for _ in range(rounds)]
    return {page: median(figure[page].microseconds for figure in figures) / 1000 for page in EDITABLE_PAGES}


def report_editable(kind: str, cpu_ms: Mapping[str, float]) -> list[str]:
    """Print the cost of an editable list and return a line if it is too slow."""
    plain, editable = cpu_ms.values()
    ratio = editable / plain
    print(f"{'100 rows, plain and editable':32}{plain:8.1f}{editable:8.1f}{ratio:8.2f}")
    if ratio <= MAX_EDITABLE_RATIO:
        return []
    return [f"Too slow: editable list on {kind}: {ratio:.2f} x the plain list (at most {MAX_EDITABLE_RATIO})."]


def report(kind: str, rows: int, figures: Figures) -> list[str]:
    """Print the results and return a line for each page that is too slow."""
    print(f"\n{kind}, {rows:,} rows, ms{'processor':>20}{'':17}{'latency':>16}")
    print(f"{'':24}{'ours':>8}{'django':>8}{'ratio':>8}   {'ours':>8}{'django':>8}{'ratio':>8}")
    slow = []
    for page, by_site in figures.items():
        cpu_ms = {
            name: median(figure.microseconds for figure in site_figures) / 1000
            for name, site_figures in by_site.items()
        }
        latency_ms = {
            name: 1000 / median(figure.rate for figure in site_figures) for name, site_figures in by_site.items()
        }
        ratios = cpu_ms["ours"] / cpu_ms["django"], latency_ms["ours"] / latency_ms["django"]
        print(f"{page:24}{_cells(cpu_ms, ratios[0])}   {_cells(latency_ms, ratios[1])}")
        if ratios[0] > MAX_RATIO:
            slow.append(f"Too slow: {page} of {rows:,} on {kind}: {ratios[0]:.2f} x Django's (at most {MAX_RATIO}).")
    return slow


def _cells(milliseconds: Mapping[str, float], ratio: float) -> str:
    return f"{milliseconds['ours']:8.1f}{milliseconds['django']:8.1f}{ratio:8.2f}"


if __name__ == "__main__":
    sys.exit(main())
