"""Fixtures for tests of pages."""

from collections.abc import Iterator

import pytest

from opportune.web.rendering import code_colours


@pytest.fixture(scope="module")
def no_highlighting_timeout() -> Iterator[None]:
    """Highlight all code, also if a garbage collection uses up the CPU time of a block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_colours, "MAX_LEXER_SECONDS", 60)
        yield
