"""Tables of results, and their limits."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from bench.harness.tasks import TASKS


@dataclass(frozen=True)
class Figure:
    microseconds: float
    """Microseconds of processor time per request."""
    rate: float
    """Requests per second."""


Figures = dict[str, dict[str, list[Figure]]]
"""Results of the rounds by task and peer."""


def exceeded_limits(database: str, figures: Figures) -> Iterator[str]:
    """Return a line for each task whose limit is exceeded."""
    for (task, peer), ratio in _ratios(figures).items():
        limit = _max_ratio(task, peer)
        if limit is not None and ratio > limit:
            yield f"Too slow: {TASKS[task].title} on {database} is {ratio:.2f} x {peer} (at most {limit})."


def print_tables(database: str, figures: Figures, rounds: int) -> None:
    print(f"\n{database}, medians of {rounds} rounds\n")
    _print_times(figures)
    print()
    _print_rates(figures)


def _print_times(figures: Figures) -> None:
    ratios = _ratios(figures)
    compared_peers = dict.fromkeys(peer for _, peer in ratios)
    print(_line("processor time, µs per request", _peers(figures), [f"ours/{peer}" for peer in compared_peers]))
    for task, by_peer in figures.items():
        times = [f"{median(figure.microseconds for figure in peer_figures):.0f}" for peer_figures in by_peer.values()]
        ratio_cells = [_format_ratio(ratios[task, peer], _max_ratio(task, peer)) for peer in compared_peers]
        print(_line(TASKS[task].title, times, ratio_cells))


def _print_rates(figures: Figures) -> None:
    print(_line("requests per second", _peers(figures)))
    for task, by_peer in figures.items():
        rates = [f"{median(figure.rate for figure in peer_figures):.0f}" for peer_figures in by_peer.values()]
        print(_line(TASKS[task].title, rates))


def _peers(figures: Figures) -> list[str]:
    return list(next(iter(figures.values())))


def _line(title: str, cells: Iterable[str], more: Iterable[str] = ()) -> str:
    return f"{title:32}" + "".join(f"{cell:>8}" for cell in cells) + "".join(f"{cell:>14}" for cell in more)


def _format_ratio(ratio: float, limit: float | None) -> str:
    return f"{ratio:.2f}" if limit is None else f"{ratio:.2f} {'≤' if ratio <= limit else '>'} {limit}"


def _max_ratio(task: str, peer: str) -> float | None:
    """Return the maximum ratio to a peer's processor time; None without a limit."""
    if task == "crud_list":
        return {"plain": 0.35, "django": 0.6}.get(peer)
    if task == "crud_insert":
        return {"plain": 0.45}.get(peer)
    return {"plain": 0.5, "django": 1.0 if TASKS[task].is_page else 1.3}.get(peer)


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
