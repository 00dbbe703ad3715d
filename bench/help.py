"""Time of `oppman.py --help`, compared with `django-admin help` of a Django project.

    .venv/bin/python -m bench.help [--rounds 11]

Whole processes, one of each in turn, on the interpreter that runs this file. The Django project is the peer of other
benchmarks, with the applications of `startproject`.
"""

import sys
from functools import partial

from bench.harness.commands import medians_in_turn, time_command
from bench.harness.options import BenchmarkParser
from bench.harness.servers import environment
from opportune.cli.registry import MODULES

MAX_RATIO = 0.7
COMMANDS = {
    "oppman.py --help": ["oppman.py", "--help"],
    "django-admin help": ["-m", "django", "help", "--settings", "bench.peers.django_site.settings"],
}
ENVIRON = environment(BENCH_DATABASE_URL="sqlite:////nowhere.db")


def milliseconds(command: list[str]) -> float:
    return time_command(command, ENVIRON).seconds * 1000


def main() -> int:
    options = BenchmarkParser(__doc__, 11).read()
    oppman, django = medians_in_turn([partial(milliseconds, command) for command in COMMANDS.values()], options.rounds)
    for name, value in zip(COMMANDS, (oppman, django), strict=True):
        print(f"{name:20} {value:7.1f} ms")
    remark = f"(at most {MAX_RATIO}; {options.rounds} rounds, {len(MODULES)} commands)"
    print(f"{'ratio':20} {oppman / django:7.2f}    {remark}")
    return int(options.is_judged and oppman / django > MAX_RATIO)


if __name__ == "__main__":
    sys.exit(main())
