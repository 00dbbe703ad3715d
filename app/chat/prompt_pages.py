"""Prompts of the library, inserted in the question field. Without JavaScript they are pages."""

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from app.chat.chat_page import CurrentPage
from app.chat.conversation_view import view_conversation
from app.chat.schemas import ConversationForm, MessageForm
from opportune.accounts import CurrentUser
from opportune.contrib.answers import Answers
from opportune.contrib.assistants import Prompts, fill, variable_form
from opportune.crud import reading
from opportune.db import MAX_ID, RowId
from opportune.web import APIRouter, Form, is_htmx, read_form, templates

router = APIRouter(prefix="/chat/prompts")

MAX_PROMPTS = 50
"""Prompts in the list. The user searches for others."""

ReadPrompts = Annotated[Prompts, reading(Prompts, "list")]
ConversationId = Annotated[int | None, Query(ge=1, le=MAX_ID)]
"""The conversation whose question field the prompt is for. None for a new one."""


@router.get("")
async def list_prompts(
    request: Request,
    prompts: ReadPrompts,
    conversation_id: ConversationId = None,
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    page = await prompts.list(Prompts.Filter(q=q, size=MAX_PROMPTS))
    return show(request, "chat/prompts.html", prompts=page.items, q=q, conversation_id=conversation_id)


@router.get("/{prompt_id}")
async def show_prompt(
    request: Request, prompts: ReadPrompts, prompt_id: RowId, conversation_id: ConversationId = None
) -> Response:
    prompt = await prompts.get(prompt_id)
    form = Form(variable_form(prompt.text))
    return show(request, "chat/prompt.html", prompt=prompt, form=form, conversation_id=conversation_id)


@router.post("/{prompt_id}")
async def insert_prompt(
    request: Request,
    user: CurrentUser,
    answers: Answers,
    page: CurrentPage,
    prompts: ReadPrompts,
    prompt_id: RowId,
    conversation_id: ConversationId = None,
) -> Response:
    """Show the question field with the prompt. A script of the page moves the text of the response to htmx."""
    prompt = await prompts.get(prompt_id)
    form = await read_form(request, variable_form(prompt.text))
    if form.data is None:
        return show(request, "chat/prompt.html", prompt=prompt, form=form, conversation_id=conversation_id)
    text = fill(prompt.text, form.data)
    if is_htmx(request):
        return templates.partial(Markup("<p hidden data-prompt>{}</p>").format(text))
    view = await view_conversation(answers, user.id, conversation_id) if conversation_id else None
    return await page.show(view, Form(MessageForm if view else ConversationForm, {"content": text}))


def show(request: Request, template: str, **context: Any) -> Response:
    """Render a page, or its block as a part of the chat."""
    context |= {"is_part": is_htmx(request)}
    status = context["form"].status if "form" in context else 200
    if is_htmx(request):
        return templates.render_block(request, template, "part", context, status)
    return templates.render(request, template, context, status)
