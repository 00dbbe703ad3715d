"""The page of the chat and its htmx fragments."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, Response

from app.chat.assistants import assistant_choices, list_assistants, read_setup
from app.chat.comparison import find_model, find_second_model, max_question_length
from app.chat.conversation_view import ConversationView, view_conversation
from app.chat.conversations import Conversations
from app.chat.dependencies import MAX_POLLS
from app.chat.documents import Documents
from app.chat.models import Conversation, Message
from app.chat.prompt import EXAMPLE_QUESTIONS
from app.chat.schemas import (
    ConversationFilter,
    ConversationForm,
    ConversationSettings,
    MessageForm,
    NewConversationFilter,
)
from opportune.accounts import CurrentUser
from opportune.contrib.answers import AnswerManager, Answers, ShownAnswer, allow_microphone
from opportune.db import utc_now
from opportune.i18n import gettext as _
from opportune.i18n.formats import format_month
from opportune.web import Form, current_zone, is_htmx, redirect, templates

TEMPLATE = "chat/chat.html"
NOT_FILTERS = {"size", "before", "at", "document", "version"}
"""Query parameters that do not filter or sort the list of conversations."""


class ChatPage:
    """The page of one user."""

    def __init__(self, request: Request, user_id: int, answers: AnswerManager) -> None:
        self.request = request
        self.user_id = user_id
        self.answers = answers

    async def show(
        self,
        view: ConversationView | None,
        form: Form[Any] | None = None,
        filters: ConversationFilter | None = None,
        settings: Form[Any] | None = None,
        panel: Mapping[str, Any] = MappingProxyType({}),
        status: int = 200,
    ) -> HTMLResponse:
        """Render the whole page, with a conversation or for a new one, and with the panel of a document."""
        conversation = view.conversation if view else None
        form = form or Form(MessageForm if view else ConversationForm)
        filters = filters or ConversationFilter()
        context = {
            **await self._composer_context(form, view),
            **await self._settings_context(conversation, settings or form),
            **await self._list_context(conversation, filters),
            **await _messages_context(view),
            "folder": filters.folder or form.value("folder"),
            "is_temporary": _is_temporary(conversation, form, filters),
            "fault": self.answers.llm.fault,
            "panel": None,
            **panel,
        }
        status = max(status, settings.status if settings else form.status)
        response = templates.render(self.request, TEMPLATE, context, status)
        allow_microphone(response, self.answers.llm)
        return response

    async def show_earlier_messages(self, view: ConversationView) -> HTMLResponse:
        """Render the messages before the first one on the page."""
        return templates.render_block(self.request, TEMPLATE, "earlier_messages", await _messages_context(view))

    async def show_branch(self, message: Message, form: Form[Any]) -> Response:
        """Render the branch after a change at a message, or the refused form."""
        if form.errors:
            return await self.show_errors(message.conversation_id, form)
        path = f"/chat/{message.conversation_id}"
        view = await view_conversation(self.answers, self.user_id, message.conversation_id)
        if view is None or message.id not in view.branches:  # the page shows only the end of the branch
            return redirect(self.request, f"{path}?at={message.id}#m{message.id}")
        if not is_htmx(self.request):
            return redirect(self.request, f"{path}#m{message.id}")
        context = await _messages_context(view) | await self._composer_context(form, view)
        return templates.render_block(self.request, TEMPLATE, "branch", context)

    async def show_new_messages(self, conversation_id: int, form: Form[Any], last_id: int) -> HTMLResponse:
        """Render the messages after the last one on the page, from this tab or another one."""
        view = await view_conversation(self.answers, self.user_id, conversation_id, after=last_id)
        form = form if form.errors else Form(MessageForm)
        context = await _messages_context(view) | await self._composer_context(form, view, last_id)
        return templates.render_block(self.request, TEMPLATE, "new_messages", context, form.status)

    async def show_errors(self, conversation_id: int | None, form: Form[Any]) -> HTMLResponse:
        """Show the errors of a question, whose text stays in the form."""
        if is_htmx(self.request):
            return templates.render_block(self.request, TEMPLATE, "errors", {"form": form}, form.status)
        view = None
        if conversation_id:
            view = await view_conversation(self.answers, self.user_id, conversation_id)
        return await self.show(view, form)

    async def _list_context(self, conversation: Conversation | None, filters: ConversationFilter) -> dict[str, Any]:
        """Return the context of the list of conversations, and of the documents of the current one."""
        async with self.answers.database.reader() as session:
            conversations = Conversations(session, self.user_id)
            if conversation and filters.model_fields_set <= NOT_FILTERS:  # open the list at the conversation
                page_number = await conversations.find_page_number(conversation, filters.size)
                filters = filters.model_copy(update={"page": page_number})
            page = await conversations.list_page(filters)
            periods = [("", page.items)] if filters.sort else group_by_period(page.items)
            documents = await Documents(session, self.user_id).list(conversation.id) if conversation else ()
            folders = await conversations.list_folders()
            return {"conversations": page, "periods": periods, "folders": folders, "documents": documents}

    async def _settings_context(self, conversation: Conversation | None, form: Form[Any]) -> dict[str, Any]:
        """Return the context of the settings, whose fields are part of the form for a new conversation."""
        llm = self.answers.llm
        form = form if "model" in form.controls else Form(ConversationSettings, conversation)
        async with self.answers.database.reader() as session:
            assistants = await list_assistants(session, self.user_id)
            if conversation is None:
                selected = form.value("assistant_id")
                assistant_id = next((row.id for row in assistants if str(row.id) == selected), None)
                conversation = Conversation(owner_id=self.user_id, title="", assistant_id=assistant_id)
            setup = await read_setup(session, llm, conversation)
        form.offer(
            {
                "assistant_id": assistant_choices(assistants, conversation),
                "model": {"": _("%(name)s, the default", name=llm.name), **llm.choices},
                "compare_with": {"": _("No second model"), **llm.choices},
            }
        )
        model, notice = find_model(llm, conversation.model or setup.options["model"])
        second, second_notice = find_second_model(llm, conversation)
        starters = setup.assistant.starters if setup.assistant else ()
        return {
            "options": form,
            "model": model.name,
            "second_model": second.name if second else "",
            "is_toy": model.is_toy,
            "assistant": setup.assistant,
            "assistants": assistants,
            "examples": starters or EXAMPLE_QUESTIONS,
            "max_question_length": max_question_length(model),
            "model_notice": " ".join(filter(None, (setup.options["omitted"], notice, second_notice))),
        }

    async def _composer_context(
        self, form: Form[Any], view: ConversationView | None, last_id: int = 0
    ) -> dict[str, Any]:
        """Return the context of the question form below the last message; `last_id` if the view has no messages."""
        messages = view.messages if view else ()
        return {
            "form": form,
            "allowance": await self.answers.allowance(self.user_id),
            "client_key": form.value("client_key") or secrets.token_hex(8),  # a repeated submit stores one question
            "last": max((message.id for message in messages), default=last_id),
        }


def _is_temporary(conversation: Conversation | None, form: Form[Any], filters: ConversationFilter) -> bool:
    if conversation:
        return conversation.is_temporary
    if isinstance(filters, NewConversationFilter) and filters.temporary:
        return True
    return form.value("is_temporary") == "true"


async def _messages_context(view: ConversationView | None) -> dict[str, Any]:
    """Return the context of the messages above the form."""
    return {
        "conversation": view.conversation if view else None,
        "messages": await view.render_messages() if view else (),
        "earlier": view.earlier if view else None,
        "is_end": view is None or view.is_end,
        "running": view.running if view else (),
        "follow_ups": view.follow_ups if view else (),
        "read_from": view.read_from if view else None,
        "silence": ShownAnswer.silence_timeout,
    }


async def get_page(request: Request, user: CurrentUser, answers: Answers) -> ChatPage:
    return ChatPage(request, user.id, answers)


CurrentPage = Annotated[ChatPage, Depends(get_page)]
"""The page of the current user."""


def poll_again(request: Request, path: str, tries: int) -> HTMLResponse:
    """Return an element that requests `path` after a delay, or nothing after the last of `MAX_POLLS` tries."""
    if tries == MAX_POLLS:
        return templates.partial("")
    return templates.render_block(request, "chat/title.html", "poll", {"path": path, "tries": tries})


def download(text: str, filename: str, media_type: str) -> Response:
    """Return a private file, which no cache stores."""
    headers = {"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"}
    return Response(text, headers=headers, media_type=media_type)


def group_by_period(conversations: Sequence[Conversation]) -> Iterator[tuple[str, list[Conversation]]]:
    """Group conversations that are sorted by pin and last use."""
    today = _local_date(utc_now())

    def name_group(conversation: Conversation) -> str:
        return _("Pinned") if conversation.is_pinned else name_period(_local_date(conversation.used_at), today)

    for period, group in groupby(conversations, name_group):
        yield period, list(group)


def name_period(day: date, today: date) -> str:
    """Return the name of a period up to today: days, then months."""
    days = (today - day).days
    if days < 1:
        return _("Today")
    if days == 1:
        return _("Yesterday")
    if days <= 7:
        return _("Previous 7 days")
    is_this_month = (day.year, day.month) == (today.year, today.month)
    return _("This month") if is_this_month else format_month(day)


def _local_date(moment: datetime) -> date:
    return moment.astimezone(current_zone.get()).date()
