from collections.abc import Iterator

import pytest

from opportune.web.rendering import code_colours


@pytest.fixture(scope="module")
def code_has_colours_however_long_it_takes() -> Iterator[None]:
    """Disable garbage collection, which would count as CPU time of the thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_colours, "MAX_LEXER_SECONDS", 60)
        yield
