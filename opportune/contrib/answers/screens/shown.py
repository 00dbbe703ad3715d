"""Responses that show an answer."""

from fastapi import Request
from fastapi.responses import Response

from opportune.contrib.answers.engine.shown import ShownAnswer
from opportune.contrib.answers.models import Answer
from opportune.web import is_htmx, redirect, templates


def answer_path(answer: Answer) -> str:
    """Return the path of the page of one answer."""
    return f"/answers/{answer.id}"


async def show_answer(request: Request, answer: Answer, page: str = "") -> Response:
    """Return the response to a question: the answer's HTML for htmx, otherwise a redirect.

    Args:
        request: The request with the question.
        answer: The new answer.
        page: Path of a page that shows the answer. By default the framework's page of the answer.
    """
    if not is_htmx(request):
        return redirect(request, page or answer_path(answer))
    context = {"answer": await ShownAnswer.of(answer)}
    return templates.render_block(request, "answers/answer.html", "answer", context)
