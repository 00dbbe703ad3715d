"""Hints for habits of other frameworks, and for common mistakes."""

from dataclasses import dataclass

from opportune.web.errors.source_lines import SourceLine


@dataclass(frozen=True)
class ErrorHint:
    title: str
    cause: str
    change: str
    """Instruction for the developer, in a sentence."""
    code: str = ""
    """Code or command to copy."""
    location: SourceLine | None = None

    def __str__(self) -> str:
        return f"{self.title}. {self.cause} {self.change} {self.code}".strip()


NO_SESSION_METHOD = ErrorHint(
    "The session has no such method",
    "Sessions are those of async SQLAlchemy, without SQLModel's `exec` and without `query`.",
    "Use one of its methods:",
    "books = (await session.scalars(select(Book))).all()\nbook = await session.get(Book, book_id)",
)
NO_MANAGER = ErrorHint(
    "Models have no manager, and rows no save()",
    "A session reads and writes rows.",
    "Use the session of the route:",
    "session.add(book)\nbooks = (await session.scalars(select(Book).where(Book.title == title))).all()",
)
NO_TEMPLATES = ErrorHint(
    "Templates of the site need their own environment",
    "It has the framework's templates, such as base.html, and renders with a request, a file and its variables.",
    "Use the templates of opportune.web:",
    'return templates.render(request, "books/books.html", {"books": books})',
)
LOOKUPS = "i?exact|i?contains|i?startswith|i?endswith|i?regex|in|gte?|lte?|isnull|range|date|year|month|day"
"""Ends of conditions of Django."""
NO_APP = ErrorHint(
    "The application is created later",
    "app.main creates `app` on first use, because commands import this module without it.",
    "Add routes in create_app, or in a feature:",
    "app = application.create_app(settings or get_settings(), INSTALLED)\napp.include_router(router)\nreturn app",
)
MISTAKES = {
    "'coroutine' (object|has no)": ErrorHint(
        "An await is missing",
        "An async function returns a coroutine, and `await` its result.",
        "Write await before the call:",
        "books = (await session.scalars(select(Book))).all()",
    ),
    "was changed in a reader|readonly database|read-only transaction": ErrorHint(
        "This session cannot write",
        "It is a ReadSession, which stores no changes, or this user may not write to the database.",
        "Take a WriteSession. If it is one, `python3 oppman.py doctor` names the problem of the database:",
        "async def create_book(session: WriteSession) -> Book:",
    ),
    "Session has been permanently closed": ErrorHint(
        "The session is closed",
        "The session of a route ends before its response is sent, so background tasks and streams cannot use it.",
        "Open a session there, or write a job:",
        "async with request.app.state.database.writer() as session:",
    ),
    "cannot depend on dependencies with scope": ErrorHint(
        "The session ends before this dependency",
        "A dependency with `yield` continues after the response, and a session of a route ends before it.",
        "End the dependency with the route:",
        'Annotated[Books, Depends(open_books, scope="function")]',
    ),
    "is already attached to session": ErrorHint(
        "The row belongs to another session",
        "One part of the request has read it in a ReadSession, and another one writes in a WriteSession.",
        "Take the WriteSession in both, or store the id of the row:",
        "Loan(book_id=book.id)",
    ),
    "No row was found when one was required": ErrorHint(
        "There is no such row",
        "`get_one` and `one` expect that the row exists. A visitor can write any id into a URL.",
        "Answer with a page for 404:",
        "book = await session.get(Book, book_id)\nif book is None:\n    raise NotFound",
    ),
    "not support the context manager protocol": ErrorHint(
        "An async is missing",
        "Sessions, transactions and clients open and close with an `await`.",
        "Write async with:",
        "async with database.reader() as session:",
    ),
    "SessionMiddleware must be installed": ErrorHint(
        "The site keeps no values of visitors",
        "`request.session` needs a middleware of Starlette (oppman.py docs features).",
        "Add it to the feature:",
        "site=Site(middleware=keep_sessions)",
    ),
    r"'Templates' object has no attribute|Templates\.render\(\) (got|missing)": NO_TEMPLATES,
    "'Request' object has no attribute 'startswith'": NO_TEMPLATES,  # arguments in another order
    "AuthenticationMiddleware must be installed": ErrorHint(
        "Requests have no user",
        "A route names the user as a parameter.",
        "Take CurrentUser, or OptionalUser for visitors:",
        "async def show_books(user: CurrentUser) -> Response:",
    ),
    r"'Request' object has no attribute '(GET|POST|FILES|META|COOKIES)'": ErrorHint(
        "Requests are those of Starlette",
        "They have query_params, headers and cookies. A form is a Pydantic model.",
        "Name values of the URL as parameters of the route, and read forms with read_form:",
        "form = await read_form(request, BookForm)",
    ),
    rf"argument '[a-z]\w*?__({LOOKUPS})'|for ORDER BY|Boolean value of this clause|Operator 'contains'": ErrorHint(
        "Queries are those of SQLAlchemy",
        "Conditions are expressions of columns. The operators &, | and ~ join them, not `and`, `or` and `not`.",
        "Use methods of columns:",
        'select(Book).where(col(Book.title).icontains("a") | (Book.price > 5)).order_by(col(Book.title).desc())',
    ),
    "int too large to convert to SQLite|(big|small)?int(eger)? out of range": ErrorHint(
        "A number is too large for its column",
        "A visitor can write any number into a URL.",
        "Annotate ids in paths with RowId, and limit other numbers:",
        "async def show_book(book_id: RowId, session: ReadSession) -> Response:",
    ),
}
"""Hints by a regular expression of the message."""
