"""What the model of a benchmark says: words that tell when they were said."""

import re
import time

WORD_INTERVAL_SECONDS = 0.1
WORD = re.compile(rb"w(\d+)t(\d+)(?=[ \\<])")  # it ends with a space, JSON's line break or a tag
WORDS_PER_PARAGRAPH = 40


def word(number: int) -> str:
    """With its number and the microsecond at which it is said, by a clock that all processes share."""
    return f"w{number}t{time.monotonic_ns() // 1000}" + (" " if (number + 1) % WORDS_PER_PARAGRAPH else "\n\n")
