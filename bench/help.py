"""Time of `oppman.py --help`, compared with `django-admin help` of a Django project.

    .venv/bin/python -m bench.help [--rounds 11]

Whole processes, one of each in turn, on the interpreter that runs this file. The Django project is the peer of other
benchmarks, with the applications of `startproject`.
"""

import subprocess
import sys
import time
from statistics import median

from bench.harness.options import new_parser
from bench.harness.servers import PROJECT, environment
from opportune.cli.registry import MODULES

MAX_RATIO = 0.7
ENOUGH_ROUNDS = 5
"""With fewer rounds nothing is judged."""
PROGRAMS = {
    "oppman.py --help": [sys.executable, str(PROJECT / "oppman.py"), "--help"],
    "django-admin help": [sys.executable, "-m", "django", "help", "--settings", "bench.peers.django_site.settings"],
}
ENVIRON = environment(BENCH_DATABASE_URL="sqlite:////nowhere.db", PYTHONPATH=str(PROJECT))


def milliseconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRON)
    return (time.perf_counter() - started) * 1000


def main() -> int:
    rounds = new_parser(__doc__, 11).parse_args().rounds
    for command in PROGRAMS.values():
        milliseconds(command)  # compiles missing bytecode
    measured = [{name: milliseconds(command) for name, command in PROGRAMS.items()} for _ in range(rounds)]
    medians = {name: median(times[name] for times in measured) for name in PROGRAMS}
    for name, value in medians.items():
        print(f"{name:20} {value:7.1f} ms")
    oppman, django = medians.values()
    print(f"{'ratio':20} {oppman / django:7.2f}    (at most {MAX_RATIO}; {rounds} rounds, {len(MODULES)} commands)")
    return int(rounds >= ENOUGH_ROUNDS and oppman / django > MAX_RATIO)


if __name__ == "__main__":
    sys.exit(main())
