"""Property tests of URL parsing: parts survive, passwords stay hidden, errors have no line break."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from tests.opportune.db.url.bad_urls import MALFORMED, SECRET

few_examples = settings(max_examples=20, deadline=None)


@few_examples
@given(
    st.sampled_from([bad for bad, _ in MALFORMED if SECRET in bad]),
    st.text("@:/?#%&=[]<>, ah0", max_size=3),
    st.integers(0, 60),
)
def test_typos_never_reveal_the_password(bad: str, typo: str, position: int) -> None:
    assume(SECRET in (text := bad[:position] + typo + bad[position:]))
    try:
        url = DatabaseUrl.parse(text)
    except OperatorError as error:
        assert SECRET not in str(error)  # noqa: PT017 - parsing may also succeed
    else:
        assert SECRET not in f"{url!r} {url.notices}" or url.url.password is None
