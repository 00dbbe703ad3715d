"""Search, rename, export, delete and restore conversations."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Query, Request
from fastapi.responses import Response

from app.chat import service
from app.chat.chat_page import download, poll_again
from app.chat.conversations import Conversations, find_leaf, read_branch
from app.chat.dependencies import CurrentConversation, Tries
from app.chat.models import Conversation, Message, TitledBy
from app.chat.schemas import ConversationExport, ConversationTitle, ConversationUpdate, FolderForm
from app.chat.search import search_messages
from opportune.accounts import CurrentUser
from opportune.contrib.answers import Answers
from opportune.db import ReadSession, RowId, WriteSession
from opportune.i18n import gettext as _
from opportune.search import SearchQuery
from opportune.web import APIRouter, flash, is_htmx, read_form, redirect, templates

router = APIRouter(prefix="/chat")


PLACES = {
    "pin": ConversationUpdate(is_pinned=True),
    "unpin": ConversationUpdate(is_pinned=False),
    "keep": ConversationUpdate(is_temporary=False),
}
"""Changes of the buttons in the menu of a conversation."""


@router.get("/search")
async def search_conversations(
    request: Request, user: CurrentUser, session: ReadSession, query: Annotated[SearchQuery, Query()]
) -> Response:
    results = await search_messages(session, user.id, query)
    if is_htmx(request):
        return templates.render_block(request, "chat/search.html", "found", {"results": results})
    return templates.render(request, "chat/search.html", {"results": results})


@router.post("/{conversation_id}/rename")
async def rename_conversation(
    request: Request, user: CurrentUser, answers: Answers, conversation: CurrentConversation
) -> Response:
    form = await read_form(request, ConversationTitle)
    if form.data is None:
        problem = form.errors.get("title") or _("Please try again.")
        flash(request, _("The title has not changed. %(problem)s", problem=problem), "warning")
        return redirect(request, f"/chat/{conversation.id}")
    renamed = await service.configure(answers, conversation, ConversationUpdate(title=form.data.title))
    if not is_htmx(request):
        return redirect(request, f"/chat/{conversation.id}")
    return templates.render_block(request, "chat/chat.html", "new_title", {"conversation": renamed})


@router.post("/{conversation_id}/move")
async def move_conversation(
    request: Request, user: CurrentUser, answers: Answers, conversation: CurrentConversation
) -> Response:
    form = await read_form(request, FolderForm)
    if form.data:
        await service.configure(answers, conversation, ConversationUpdate(folder=form.data.folder))
    else:
        flash(request, form.errors.get("folder") or _("Please try again."), "warning")
    return redirect(request, f"/chat/{conversation.id}")


@router.post("/{conversation_id}/place/{change}")
async def place_conversation(
    request: Request,
    user: CurrentUser,
    answers: Answers,
    conversation: CurrentConversation,
    change: Literal["pin", "unpin", "keep"],
) -> Response:
    await service.configure(answers, conversation, PLACES[change])
    return redirect(request, f"/chat/{conversation.id}")


@router.get("/{conversation_id}/title")
async def show_title(request: Request, conversation: CurrentConversation, tries: Tries) -> Response:
    """Return the title of the model, or poll again."""
    if conversation.titled_by != TitledBy.QUESTION:
        return templates.render_block(request, "chat/chat.html", "new_title", {"conversation": conversation})
    return poll_again(request, f"/chat/{conversation.id}/title", tries)


@router.get("/{conversation_id}/export/{kind}")
async def export_conversation(
    user: CurrentUser, session: ReadSession, conversation: CurrentConversation, kind: Literal["md", "json"]
) -> Response:
    if kind == "md":
        messages = await read_branch(session, await find_leaf(session, conversation))
        return download(_to_markdown(conversation, messages), f"conversation-{conversation.id}.md", "text/markdown")
    messages = await Conversations(session, user.id).list_all_messages(conversation.id)
    text = ConversationExport.of(conversation, messages).model_dump_json(indent=2)
    return download(text, f"conversation-{conversation.id}.json", "application/json")


def _to_markdown(conversation: Conversation, messages: Sequence[Message]) -> str:
    parts = [f"# {conversation.title}"]
    for message in messages:
        speaker = _("You") if message.answer is None else message.answer.model or _("Answer")
        parts += [f"## {speaker}", message.answer.markdown if message.answer else message.text]
    return "\n\n".join(parts) + "\n"


@router.post("/{conversation_id}/delete")
async def delete_conversation(
    request: Request, user: CurrentUser, answers: Answers, conversation: CurrentConversation
) -> Response:
    await service.delete(answers, conversation)
    flash(
        request,
        _("The conversation “%(title)s” is deleted.", title=conversation.title),
        undo=f"/chat/{conversation.id}/restore",
    )
    return redirect(request, "/chat")


@router.post("/{conversation_id}/restore")
async def restore_conversation(
    request: Request, user: CurrentUser, session: WriteSession, conversation_id: RowId
) -> Response:
    await Conversations(session, user.id).restore(conversation_id)
    return redirect(request, f"/chat/{conversation_id}")
