"""Property tests of URL parsing: parts survive, passwords stay hidden, errors have no line break."""

from urllib.parse import quote

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.formats import POSTGRESQL
from opportune.errors import OperatorError
from tests.opportune.db.url.bad_urls import MALFORMED, SECRET

few_examples = settings(max_examples=20, deadline=None)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<>[]{}"), min_size=1, max_size=12)
passwords = texts.map(lambda word: f"{SECRET}{word}")
names = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,10}[a-z0-9])?(\.[a-z][a-z0-9]{1,5}){0,2}", fullmatch=True)
hosts = names | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(lambda ip: f"[{ip}]")
NAMES = ["application_name", "options", "sslcert", "client_encoding", "target_session_attrs"]
options = st.dictionaries(st.sampled_from(NAMES), texts)


def build_url(scheme: str, user: str, password: str, locations: list[str], database: str, query: dict[str, str]) -> str:
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"{scheme}://{credentials}@{','.join(locations)}/{quote(database, safe='')}?{pairs}"


@few_examples
@given(
    scheme=st.sampled_from(POSTGRESQL) | st.sampled_from(["postgresql+asyncpg", "postgresql+psycopg2"]),
    user=texts,
    password=passwords,
    locations=st.lists(st.tuples(hosts, st.integers(1, 65535)), min_size=1, max_size=3),
    database=texts,
    query=options,
)
def test_all_url_parts_survive_parsing(
    scheme: str, user: str, password: str, locations: list[tuple[str, int]], database: str, query: dict[str, str]
) -> None:
    text = build_url(scheme, user, password, [f"{host}:{port}" for host, port in locations], database, query)
    url = DatabaseUrl.parse(text)
    assert (url.url.username, url.url.password, url.database) == (user, password, database)
    assert [str(host) for host in url.hosts] == [f"{host}:{port}" for host, port in locations]
    assert {name: value for name, value in url.url.query.items() if name in query} == query
    assert SECRET not in f"{url!r} {url} {url.redacted} {url.server} {url.notices} {url.arguments}"
    assert DatabaseUrl.parse(url.url.render_as_string(hide_password=False)) == url


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
