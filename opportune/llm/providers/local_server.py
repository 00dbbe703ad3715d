"""The program that runs the local model, in a process of its own.

Loading holds the interpreter's lock for as long as it takes, stopping while an answer is being written takes seconds,
and a crash or a lack of memory ends the process: none of that may happen to the site. It ends when its standard input
does, so it cannot outlive the process that started it, however that one ends.

It is run by its path, with the weights as its argument and the key on standard input, and writes its address to
standard output; standard error is for the site's log. It must import nothing of the application.
"""

import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

MAX_THREADS = 4
CONTEXT_TOKENS = 4096


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the site, which then closes our standard input
    key = sys.stdin.readline().strip()
    report = silence_output()
    xllamacpp = import_module("xllamacpp")
    server = xllamacpp.Server(parameters(xllamacpp, sys.argv[1], key))
    with suppress(BrokenPipeError):  # whoever started us has ended already
        os.write(report, f"{server.listening_address}\n".encode())
        os.close(report)
        sys.stdin.read()
    os._exit(0)  # the server's own end waits for answers that nobody reads, or for ever


def silence_output() -> int:
    """Send what llama.cpp prints to nowhere, but its errors; return a descriptor of the real standard output."""
    report = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return report


def parameters(xllamacpp: Any, weights: str, key: str) -> Any:
    """Settings for a model of 135 million parameters: it repeats itself and wanders when left to the defaults."""
    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.verbosity = -1
    params.warmup = False
    params.ui = False
    params.sse_ping_interval = 1  # how soon it notices that nobody listens
    # One core is left to the site: threads that wait for one another on a busy core write 3 tokens a second, not 40.
    params.cpuparams.n_threads = max(1, min((os.cpu_count() or 1) - 1, MAX_THREADS))
    # Two answers at once share one context; 8-bit values halve its memory, and no old prompts are kept beside it.
    params.n_parallel = 2
    params.kv_unified = True
    params.n_ctx = CONTEXT_TOKENS
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
    params.n_ubatch = 128
    params.n_cache_reuse = 32  # a conversation that lost its oldest turns is not read anew
    params.cache_ram_mib = 0
    params.sampling.temp = 0.2
    params.sampling.top_p = 0.9
    params.sampling.penalty_repeat = 1.1
    return params


if __name__ == "__main__":
    main()
