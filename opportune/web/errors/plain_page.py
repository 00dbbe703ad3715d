"""Error page that needs neither templates nor the database, for errors of the error page itself."""

from html import escape

from fastapi.responses import HTMLResponse

from opportune.i18n import get_language, gettext

PAGE = """<!doctype html>
<html lang="{language}" dir="{direction}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{status}</title>
</head>
<body>
  <h1>{status}</h1>
  <p>{message}</p>
  <p>{quote} <code>{number}</code></p>
  <p><a href="/">{back}</a></p>
</body>
</html>
"""


def plain_page(status: int, message: str, number: str) -> HTMLResponse:
    language = get_language()
    values = {"message": message, "number": number, "language": language.tag, "direction": language.direction}
    values |= {"quote": gettext("Quote this number if you report it:"), "back": gettext("Back to the start")}
    return HTMLResponse(PAGE.format(status=status, **{name: escape(text) for name, text in values.items()}), status)
