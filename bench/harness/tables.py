"""Tables of results, and the limits that CI enforces."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from bench.harness.tasks import TASKS


@dataclass(frozen=True)
class Figure:
    """Result of one round."""

    microseconds: float
    """Microseconds of processor time per request."""
    rate: float
    """Requests per second."""


Figures = dict[str, dict[str, list[Figure]]]
"""Results of the rounds by task and peer."""


def _by_task(*ratios: float) -> dict[str, float]:
    """Return the ratios by task. They are in the order of `TASKS`."""
    return dict(zip(TASKS, ratios, strict=True))


GOALS = {
    "plain": _by_task(0.45, 0.55, 0.55, 0.40, 0.27, 0.40, 0.25, 0.45, 0.40),
    "django": _by_task(0.30, 0.40, 0.85, 1.00, 0.40, 0.30, 0.85, 1.00, 0.35),
}
"""Ratios to the processor time of each peer that the site should reach on both databases."""

MEASURED = {
    ("plain", "sqlite"): _by_task(0.53, 0.42, 0.33, 0.34, 0.20, 0.39, 0.40, 0.35, 0.32),
    ("django", "sqlite"): _by_task(0.28, 0.27, 0.52, 1.05, 0.32, 0.29, 1.13, 0.73, 0.30),
    ("plain", "postgresql"): _by_task(0.53, 0.64, 0.67, 0.42, 0.33, 0.48, 0.47, 0.56, 0.49),
    ("django", "postgresql"): _by_task(0.29, 0.36, 0.73, 0.86, 0.37, 0.32, 0.92, 1.03, 0.36),
}
"""Ratios of the tables in docs/benchmarks.md."""

MAX_EXCESS_RATIO = 1.25
"""Tolerance for noise beside `MEASURED`. CI fails above, so that no change spends the speed unnoticed."""


def exceeded_limits(database: str, figures: Figures) -> Iterator[str]:
    """Yield a line for each task that misses its goal and is also slower than `MEASURED` with its tolerance."""
    for (task, peer), ratio in _ratios(figures).items():
        if peer not in GOALS:
            continue
        goal, measured = GOALS[peer][task], MEASURED[peer, database][task]
        limit = max(goal, round(measured * MAX_EXCESS_RATIO, 2))
        if ratio > limit:
            yield f"Too slow: {TASKS[task].title} on {database} is {ratio:.2f} x {peer} (at most {limit:.2f})."


def print_tables(database: str, figures: Figures, rounds: int) -> None:
    print(f"\n{database}, medians of {rounds} rounds\n")
    _print_times(figures)
    print()
    _print_rates(figures)


def _print_times(figures: Figures) -> None:
    ratios = _ratios(figures)
    compared_peers = dict.fromkeys(peer for _, peer in ratios)
    headings = [f"ours/{peer}" for peer in compared_peers]
    print(_format_row("processor time, µs per request", _peers(figures), headings))
    for task, by_peer in figures.items():
        times = [f"{median(figure.microseconds for figure in peer_figures):.0f}" for peer_figures in by_peer.values()]
        ratio_cells = [_format_ratio(ratios[task, peer], GOALS.get(peer, {}).get(task)) for peer in compared_peers]
        print(_format_row(TASKS[task].title, times, ratio_cells))


def _print_rates(figures: Figures) -> None:
    print(_format_row("requests per second", _peers(figures)))
    for task, by_peer in figures.items():
        rates = [f"{median(figure.rate for figure in peer_figures):.0f}" for peer_figures in by_peer.values()]
        print(_format_row(TASKS[task].title, rates))


def _peers(figures: Figures) -> list[str]:
    return list(next(iter(figures.values())))


def _format_row(title: str, figures: Iterable[str], ratios: Iterable[str] = ()) -> str:
    return f"{title:32}" + "".join(f"{figure:>8}" for figure in figures) + "".join(f"{ratio:>14}" for ratio in ratios)


def _format_ratio(ratio: float, goal: float | None) -> str:
    if goal is None:
        return f"{ratio:.2f}"
    return f"{ratio:.2f} {'≤' if ratio <= goal else '>'} {goal}"


def _ratios(figures: Figures) -> dict[tuple[str, str], float]:
    """Return our processor time relative to each peer, by task and peer."""
    medians = {
        (task, peer): median(figure.microseconds for figure in peer_figures)
        for task, by_peer in figures.items()
        for peer, peer_figures in by_peer.items()
    }
    return {
        (task, peer): medians[task, "ours"] / value
        for (task, peer), value in medians.items()
        if peer != "ours" and (task, "ours") in medians
    }
