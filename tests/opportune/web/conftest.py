from collections.abc import Iterator

import pytest

from opportune.web.rendering import code_colours


@pytest.fixture(scope="module")
def code_has_colours_however_long_it_takes() -> Iterator[None]:
    """A collection of all garbage is the thread's time, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_colours, "MAX_LEXER_SECONDS", 60)
        yield
