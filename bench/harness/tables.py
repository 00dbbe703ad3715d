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
"""Results by round, task and peer."""


def excesses(database: str, figures: Figures) -> Iterator[str]:
    """Return a line for each task whose limit is exceeded."""
    for (task, peer), ratio in _ratios(figures).items():
        largest = _limit(task, peer)
        if largest is not None and ratio > largest:
            yield f"Too slow: {TASKS[task].title} on {database} is {ratio:.2f} x {peer} (at most {largest})."


def show(database: str, figures: Figures, rounds: int) -> None:
    print(f"\n{database}, medians of {rounds} rounds\n")
    _show_times(figures)
    print()
    _show_rates(figures)


def _show_times(figures: Figures) -> None:
    ratios = _ratios(figures)
    compared = dict.fromkeys(peer for _, peer in ratios)
    print(_line("processor time, µs a request", _peers(figures), [f"ours/{peer}" for peer in compared]))
    for task, by_peer in figures.items():
        times = [f"{median(one.microseconds for one in many):.0f}" for many in by_peer.values()]
        judged = [_judged(ratios[task, peer], _limit(task, peer)) for peer in compared]
        print(_line(TASKS[task].title, times, judged))


def _show_rates(figures: Figures) -> None:
    print(_line("requests a second", _peers(figures)))
    for task, by_peer in figures.items():
        rates = [f"{median(one.rate for one in many):.0f}" for many in by_peer.values()]
        print(_line(TASKS[task].title, rates))


def _peers(figures: Figures) -> list[str]:
    return list(next(iter(figures.values())))


def _line(title: str, cells: Iterable[str], more: Iterable[str] = ()) -> str:
    return f"{title:32}" + "".join(f"{cell:>8}" for cell in cells) + "".join(f"{cell:>14}" for cell in more)


def _judged(ratio: float, largest: float | None) -> str:
    return f"{ratio:.2f}" if largest is None else f"{ratio:.2f} {'≤' if ratio <= largest else '>'} {largest}"


def _limit(task: str, peer: str) -> float | None:
    """Maximum ratio to a peer's processor time."""
    if task in ("rows", "add"):
        return {"plain": 0.35 if task == "rows" else 0.45, "django": 0.6 if task == "rows" else None}.get(peer)
    return {"plain": 0.5, "django": 1.0 if TASKS[task].is_page else 1.3}.get(peer)


def _ratios(figures: Figures) -> dict[tuple[str, str], float]:
    """Ratio of our site to each peer, by task and peer."""
    medians = {
        (task, peer): median(one.microseconds for one in many)
        for task, by_peer in figures.items()
        for peer, many in by_peer.items()
    }
    return {
        (task, peer): medians[task, "ours"] / value
        for (task, peer), value in medians.items()
        if peer != "ours" and (task, "ours") in medians
    }
