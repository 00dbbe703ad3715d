"""Words of the benchmark's model, which contain the time they were sent."""

import re
import time

WORD_INTERVAL_SECONDS = 0.1
WORD = re.compile(rb"w(\d+)t(\d+)(?=[ \\<])")  # followed by a space, a JSON line break or a tag
WORDS_PER_PARAGRAPH = 40


def word(number: int) -> str:
    """Return a word with its number and the microsecond it is sent, by a clock that all processes share."""
    return f"w{number}t{time.monotonic_ns() // 1000}" + (" " if (number + 1) % WORDS_PER_PARAGRAPH else "\n\n")
