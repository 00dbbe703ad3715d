"""Duration of whole processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.harness.options import ENOUGH_ROUNDS
from bench.harness.servers import PROJECT


class Duration(NamedTuple):
    seconds: float
    cpu_seconds: float
    """Processor time of the process and its children."""


def time_command(arguments: Sequence[str], environ: Mapping[str, str], folder: Path = PROJECT) -> Duration:
    """Run `python <arguments>` in a folder."""
    started, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - started, os.times()
    cpu_seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return Duration(seconds, cpu_seconds)


def medians_in_turn(measurements: Sequence[Callable[[], float]], rounds: int) -> list[float]:
    """Return the median of each measurement.

    A first round, which compiles missing bytecode, is not counted. Too few rounds to be judged have none.
    """
    warm_up_rounds = int(rounds >= ENOUGH_ROUNDS)
    measured = [[measure() for measure in measurements] for _ in range(warm_up_rounds + rounds)]
    return [median(column) for column in zip(*measured[warm_up_rounds:], strict=True)]
