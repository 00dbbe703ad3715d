"""Medians of measurements that take turns."""

from collections.abc import Callable, Sequence
from statistics import median

from bench.harness.options import ENOUGH_ROUNDS


def medians_in_turn(measurements: Sequence[Callable[[], float]], rounds: int) -> list[float]:
    """Return the median of each measurement.

    A first round, which compiles missing bytecode, is not counted. Too few rounds to be judged have none.
    """
    warm_up_rounds = int(rounds >= ENOUGH_ROUNDS)
    measured = [[measure() for measure in measurements] for _ in range(warm_up_rounds + rounds)]
    return [median(column) for column in zip(*measured[warm_up_rounds:], strict=True)]
