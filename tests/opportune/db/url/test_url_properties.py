"""Whatever the address, its parts come back, its password stays hidden, and nothing but one line is ever raised."""

from urllib.parse import quote

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opportune.db.url.database_url import POSTGRESQL, DatabaseURL
from opportune.errors import OperatorError
from tests.opportune.db.url.bad_urls import MALFORMED, SECRET

quickly = settings(max_examples=20, deadline=None)

# What can be in a name or a password: everything that UTF-8 and PostgreSQL can hold.
words = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<>[]{}"), min_size=1, max_size=12)
passwords = words.map(lambda word: f"{SECRET}{word}")
ports = st.integers(1, 65535)
names = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,10}[a-z0-9])?(\.[a-z][a-z0-9]{1,5}){0,2}", fullmatch=True)
hosts = names | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(lambda ip: f"[{ip}]")
options = st.dictionaries(
    st.sampled_from(["application_name", "options", "sslcert", "client_encoding", "target_session_attrs"]), words
)


def address(scheme: str, user: str, password: str, places: list[str], database: str, query: dict[str, str]) -> str:
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"{scheme}://{credentials}@{','.join(places)}/{quote(database, safe='')}?{pairs}"


@quickly
@given(
    scheme=st.sampled_from(POSTGRESQL) | st.sampled_from(["postgresql+asyncpg", "postgresql+psycopg2"]),
    user=words,
    password=passwords,
    places=st.lists(st.tuples(hosts, ports), min_size=1, max_size=3),
    database=words,
    query=options,
)
def test_every_part_of_an_address_comes_back(
    scheme: str, user: str, password: str, places: list[tuple[str, int]], database: str, query: dict[str, str]
) -> None:
    text = address(scheme, user, password, [f"{host}:{port}" for host, port in places], database, query)
    url = DatabaseURL.parse(text)
    assert (url.url.username, url.url.password, url.database) == (user, password, database)
    assert [str(host) for host in url.hosts] == [f"{host}:{port}" for host, port in places]
    assert {name: value for name, value in url.url.query.items() if name in query} == query
    assert SECRET not in f"{url!r} {url} {url.redacted} {url.server} {url.notices} {url.arguments}"

    again = DatabaseURL.parse(url.url.render_as_string(hide_password=False))
    assert again == url


@quickly
@given(user=st.from_regex(r"[a-z]{1,8}", fullmatch=True), password=passwords, host=names, port=ports)
def test_a_raw_password_is_read_rightly_or_refused(user: str, password: str, host: str, port: int) -> None:
    assume("%" not in password)
    try:
        url = DatabaseURL.parse(f"postgresql://{user}:{password}@{host}:{port}/site")
    except OperatorError as refusal:
        assert SECRET not in str(refusal)  # noqa: PT017 - it may also be accepted
    else:
        assert (url.url.username, url.url.password, url.server) == (user, password, f"{host}:{port}")


@quickly
@given(st.sampled_from(["", "postgresql://", "sqlite:///", "sqlite+memory:///"]), st.text(max_size=40))
def test_no_text_does_more_harm_than_one_line(start: str, text: str) -> None:
    try:
        url = DatabaseURL.parse(start + text)
    except OperatorError as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017 - it may also be accepted
    else:
        rendered = url.url.render_as_string(hide_password=False)
        assert DatabaseURL.parse(rendered).url == url.url


@quickly
@given(
    st.sampled_from([bad for bad, _ in MALFORMED if SECRET in bad]),
    st.text("@:/?#%&=[]<>, ah0", max_size=3),
    st.integers(0, 60),
)
def test_no_mistake_shows_the_password(bad: str, slip: str, where: int) -> None:
    assume(SECRET in (text := bad[:where] + slip + bad[where:]))
    try:
        url = DatabaseURL.parse(text)
    except OperatorError as refusal:
        assert SECRET not in str(refusal)  # noqa: PT017 - it may also be accepted
    else:
        assert SECRET not in f"{url!r} {url.notices}" or url.url.password is None
