"""Program that runs the local model in a separate process.

Loading holds the GIL, stopping during an answer takes seconds, and a crash or lack of memory ends the process. The site
must not suffer from these. The program exits when its standard input is closed, so it never outlives the site.

It is started by its path with the weights as argument and the key on standard input. It writes its URL to standard
output and errors to standard error. It must not import the application.
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the site exits and thus closes the standard input
    key = sys.stdin.readline().strip()
    url_output = silence_output()
    xllamacpp = import_module("xllamacpp")
    server = xllamacpp.Server(make_parameters(xllamacpp, sys.argv[1], key))
    with suppress(BrokenPipeError):  # the parent process has ended
        os.write(url_output, f"{server.listening_address}\n".encode())
        os.close(url_output)
        sys.stdin.read()
    os._exit(0)  # a normal exit waits for running answers, possibly forever


def silence_output() -> int:
    """Redirect standard output of llama.cpp to /dev/null; return a descriptor of the original one."""
    url_output = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return url_output


def make_parameters(xllamacpp: Any, weights: str, key: str) -> Any:
    """Settings for a model of 135 million parameters, which repeats itself with the defaults."""
    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.verbosity = -1
    params.warmup = params.ui = False
    params.sse_ping_interval = 1  # seconds to notice a closed connection
    # One core remains for the site: on a busy core, threads wait for each other and write 3 tokens/s instead of 40.
    params.cpuparams.n_threads = max(1, min((os.cpu_count() or 1) - 1, MAX_THREADS))
    # Two parallel answers share one context. 8-bit values halve its memory, and old prompts are not cached.
    params.n_parallel = 2
    params.kv_unified = True
    params.n_ctx = CONTEXT_TOKENS
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
    params.n_ubatch = 128
    params.n_cache_reuse = 32  # reuse the cache after the oldest turns of a conversation were dropped
    params.cache_ram_mib = 0
    params.sampling.temp = 0.2
    params.sampling.top_p = 0.9
    params.sampling.penalty_repeat = 1.1
    return params


if __name__ == "__main__":
    main()
