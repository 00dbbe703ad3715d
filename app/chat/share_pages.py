"""Pages of shared conversations, and the list of links for their owner."""

from typing import Annotated

from fastapi import HTTPException, Path, Query, Request
from fastapi.responses import Response

from app.chat.dependencies import CurrentConversation, MessageId
from app.chat.sharing import NothingToShareError, Shares, read_share
from opportune.accounts import AccountOwner, CurrentUser
from opportune.contrib.answers import ShownAnswer
from opportune.db import ReadSession, RowId, WriteSession
from opportune.pagination import Paging
from opportune.web import HOUR_SECONDS, APIRouter, Limiter, RateLimit, client_address, flash, redirect, templates

router = APIRouter(prefix="/chat")

UNKNOWN_LINKS = RateLimit("chat.wrong_link", 30, HOUR_SECONDS, storage="cache")
"""Limit of unknown tokens per address. Requests with a valid token do not count."""
PRIVATE_HEADERS = {"X-Robots-Tag": "noindex, nofollow", "Cache-Control": "private, no-store"}


@router.get("/shared")
async def list_shares(
    request: Request, user: CurrentUser, session: ReadSession, paging: Annotated[Paging, Query()]
) -> Response:
    return templates.render(request, "chat/shares.html", {"shares": await Shares(session, user.id).list(paging)})


@router.post("/{conversation_id}/share")
async def create_share(
    request: Request, user: AccountOwner, session: WriteSession, conversation: CurrentConversation
) -> Response:
    try:
        share = await Shares(session, user.id).create(conversation)
    except NothingToShareError as error:
        flash(request, str(error), "warning")
        return redirect(request, f"/chat/{conversation.id}")
    return redirect(request, f"/chat/shared#s{share.id}")


@router.post("/shared/{share_id}/delete")
async def delete_share(request: Request, user: CurrentUser, session: WriteSession, share_id: RowId) -> Response:
    await Shares(session, user.id).delete(share_id)
    flash(request, "The link is deleted.")
    return redirect(request, "/chat/shared")


@router.get("/shared/{token}")
async def show_shared_conversation(
    request: Request,
    session: ReadSession,
    limiter: Limiter,
    token: Annotated[str, Path(max_length=40)],
    before: MessageId = None,
) -> Response:
    view = await read_share(session, token, before)
    if view is None:
        await limiter.hit(UNKNOWN_LINKS.by(client_address(request)))
        raise HTTPException(404)
    answers = [message.answer if view.share.shows(message) else None for message in view.messages]
    shown_answers = [await ShownAnswer.of(answer) if answer else None for answer in answers]
    messages = [*zip(view.messages, shown_answers, strict=True)]
    response = templates.render(request, "chat/shared.html", {"view": view, "messages": messages})
    response.headers.update(PRIVATE_HEADERS)
    return response
