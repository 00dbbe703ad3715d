"""Thresholds of the garbage collector for a server."""

import gc

GC_THRESHOLDS = (5_000, 5, 2)
"""Thresholds of the garbage collector. Python's default is 700, 10, 10.

Unused compiled statements contain reference cycles and reach the oldest generation. If that generation is collected
too rarely, the memory of a worker grows without end.
"""


def tune_gc() -> None:
    """Exclude objects of the start from garbage collection, and collect young objects less often.

    Reference counting frees most objects of a request.
    """
    if gc.get_threshold() != GC_THRESHOLDS:
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
