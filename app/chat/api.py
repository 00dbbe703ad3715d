"""API of conversations."""

from typing import Annotated

from fastapi import Depends, HTTPException, Query, Response

from app.chat import service
from app.chat.comparison import find_beside
from app.chat.conversations import Conversations
from app.chat.dependencies import (
    CurrentAnswer,
    CurrentConversation,
    CurrentConversationView,
    CurrentMessage,
    CurrentQuestion,
    CurrentStream,
)
from app.chat.models import Conversation, Message, Share
from app.chat.schemas import (
    AttachmentRead,
    ConversationCreate,
    ConversationExport,
    ConversationFilter,
    ConversationRead,
    ConversationUpdate,
    ConversationWithMessages,
    MessageCreated,
    MessageRead,
    QuestionCreate,
    ShareRead,
)
from app.chat.search import ChatHit, search_messages
from app.chat.sharing import NothingToShareError, Shares
from opportune.accounts import AccountOwner, CurrentUser
from opportune.contrib.answers import Answers, StreamEvent, stream_json
from opportune.db import ReadSession, RowId, WriteSession
from opportune.pagination import Page, Paging
from opportune.search import SearchQuery, SearchResults
from opportune.web import APIRouter, EventStream

router = APIRouter(prefix="/conversations", tags=["chat"])


@router.get("", response_model=Page[ConversationRead])
async def list_conversations(
    user: CurrentUser, session: ReadSession, filters: Annotated[ConversationFilter, Query()]
) -> Page[Conversation]:
    return await Conversations(session, user.id).list_page(filters)


@router.get("/folders")
async def list_folders(user: CurrentUser, session: ReadSession) -> list[str]:
    return await Conversations(session, user.id).list_folders()


@router.post("", status_code=202)
async def create_conversation(
    data: ConversationCreate, user: CurrentUser, answers: Answers, response: Response
) -> MessageCreated:
    """Start a new conversation with a question. `Location` is its URL."""
    question, answer = await service.ask(answers, user.id, None, data, files=data.attachments, settings=data)
    created = await _to_message_created(answers, question, answer)
    response.headers["Location"] = f"/api/v1/conversations/{created.conversation}"
    return created


@router.get("/search")
async def search_conversations(
    user: CurrentUser, session: ReadSession, query: Annotated[SearchQuery, Query()]
) -> SearchResults[ChatHit]:
    """Search titles, questions and answers, newest first. The last word may be incomplete."""
    return await search_messages(session, user.id, query)


@router.get("/shares", response_model=Page[ShareRead])
async def list_shares(user: CurrentUser, session: ReadSession, paging: Annotated[Paging, Query()]) -> Page[Share]:
    return await Shares(session, user.id).list(paging)


@router.delete("/shares/{share_id}", status_code=204)
async def delete_share(user: CurrentUser, session: WriteSession, share_id: RowId) -> None:
    await Shares(session, user.id).delete(share_id)


@router.post("/{conversation_id}/shares", status_code=201, response_model=ShareRead)
async def create_share(user: AccountOwner, session: WriteSession, conversation: CurrentConversation) -> Share:
    """Create a public, anonymous link to the current branch. Later messages stay private."""
    try:
        return await Shares(session, user.id).create(conversation)
    except NothingToShareError as error:
        raise HTTPException(409, str(error)) from None


@router.get("/{conversation_id}")
async def get_conversation(view: CurrentConversationView) -> ConversationWithMessages:
    """Return the newest messages of the current branch, oldest first.

    `before` (the value of `earlier`) selects older messages; `at` selects the messages around one, on any branch.
    """
    messages = [MessageRead.of(message, view.branches[message.id]) for message in view.messages]
    read = ConversationRead.model_validate(view.conversation)
    files = [AttachmentRead.model_validate(file) for _, file in sorted(view.files.items())]
    beside = MessageRead.of(view.beside, view.branches[view.beside.id]) if view.beside else None
    return ConversationWithMessages(
        **read.model_dump(), messages=messages, beside=beside, attachments=files, earlier=view.earlier
    )


@router.patch("/{conversation_id}", response_model=ConversationRead)
async def update_conversation(
    changes: ConversationUpdate, user: CurrentUser, answers: Answers, conversation: CurrentConversation
) -> Conversation:
    """Change the title, the folder, the pin, or the model and settings of later answers."""
    return await service.configure(answers, conversation, changes)


@router.delete("/{conversation_id}", status_code=204)
async def delete_conversation(user: CurrentUser, answers: Answers, conversation: CurrentConversation) -> None:
    """Stop the running answer and move the conversation to the trash, with its answers, files and links."""
    await service.delete(answers, conversation)


@router.post("/{conversation_id}/restore", response_model=ConversationRead)
async def restore_conversation(user: CurrentUser, session: WriteSession, conversation_id: RowId) -> Conversation:
    """Take a conversation out of the trash."""
    return await Conversations(session, user.id).restore(conversation_id)


@router.get("/{conversation_id}/export")
async def export_conversation(
    user: CurrentUser, session: ReadSession, conversation: CurrentConversation
) -> ConversationExport:
    """Export the messages of all branches."""
    return ConversationExport.of(conversation, await Conversations(session, user.id).list_all_messages(conversation.id))


@router.post("/{conversation_id}/messages", status_code=202)
async def ask_question(
    data: QuestionCreate, user: CurrentUser, answers: Answers, conversation: CurrentConversation
) -> MessageCreated:
    """Ask a question. Read the growing answer from `stream_url`."""
    question, answer = await service.ask(answers, user.id, conversation.id, data, files=data.attachments)
    return await _to_message_created(answers, question, answer)


async def _to_message_created(answers: Answers, question: Message, answer: Message) -> MessageCreated:
    async with answers.database.reader(fresh=True) as session:
        beside = await find_beside(session, answer)
    stream_url = f"/api/v1/conversations/{question.conversation_id}/stream"
    return MessageCreated(
        conversation=question.conversation_id,
        message=MessageRead.of(question),
        answer=MessageRead.of(answer),
        stream_url=stream_url,
        beside=MessageRead.of(beside) if beside else None,
        beside_stream_url=f"{stream_url}?after={beside.id}:0" if beside else None,
    )


@router.get("/{conversation_id}/stream", response_class=EventStream, responses={200: {"model": StreamEvent}})
async def stream_answer(user: CurrentUser, answer_stream: CurrentStream) -> EventStream:
    """Stream the newest answer as `status` and `delta` events, then `done` or `error`. Send `Last-Event-ID` to resume.

    The server sends a comment after 15 seconds without events. Reconnect if nothing arrives for 40 seconds.
    """
    return stream_json(answer_stream, "message_id")


async def check_conversation(conversation_id: RowId, message: CurrentMessage) -> None:
    if message.conversation_id != conversation_id:
        raise HTTPException(404)


messages = APIRouter(
    prefix="/conversations/{conversation_id}/messages/{message_id}",
    tags=["chat"],
    dependencies=[Depends(check_conversation)],
)


@messages.post("/stop", status_code=204)
async def stop_answer(answer: CurrentAnswer, answers: Answers) -> None:
    await service.stop(answers, answer)


@messages.post("/edit", status_code=202)
async def edit_question(
    data: QuestionCreate, user: CurrentUser, question: CurrentQuestion, answers: Answers
) -> MessageCreated:
    """Replace a question in a new branch, which becomes the current one."""
    new_question, answer = await service.ask(
        answers, user.id, question.conversation_id, data, replaced_question=question, files=data.attachments
    )
    return await _to_message_created(answers, new_question, answer)


@messages.post("/retry", status_code=202)
async def retry_answer(user: CurrentUser, answer: CurrentAnswer, answers: Answers) -> MessageCreated:
    """Answer the same question again in a new branch, which becomes the current one."""
    question, new_answer = await service.retry(answers, user.id, answer)
    return await _to_message_created(answers, question, new_answer)


@messages.post("/continue", status_code=202)
async def resume_answer(answer: CurrentAnswer, answers: Answers) -> MessageRead:
    """Continue an interrupted answer."""
    return MessageRead.of(await service.resume(answers, answer))


@messages.post("/show", status_code=204)
async def select_branch(user: CurrentUser, message: CurrentMessage, session: WriteSession) -> None:
    """Select the newest branch that contains this message."""
    await Conversations(session, user.id).select_branch(message)
