from sqlalchemy import func

from app.chat import api, conversation_pages, demo, pages, share_pages
from app.chat.hooks import delete_answers, queue_title
from app.chat.jobs import write_title
from app.chat.models import Conversation, Message, Share
from app.chat.personal import personal_data
from app.chat.search import search_titles
from opportune.feature import Demo, Feature, Link, Metric, SiteSearch, UserColumn

chat = Feature(
    name="chat",
    summary="Ask a language model and watch it answer; answers survive reloads, lost connections and restarts.",
    requires=("answers",),
    models=(Conversation, Message, Share),
    pages=(share_pages.router, conversation_pages.router, pages.router),
    api=(api.router, api.messages),
    admin="app.chat.admin",
    metrics=(Metric("Messages", Message.created_at),),
    user_columns=(
        UserColumn("Conversations", Conversation.owner_id),
        UserColumn("Last conversation", Conversation.owner_id, func.max(Conversation.created_at)),
    ),
    navigation=(Link("Chat", "/chat", "message-circle", signed_in=True),),
    searches=(SiteSearch("Conversations", search_titles, "/chat/search"),),
    demo=Demo(demo.load, demo.clear),
    personal_data=personal_data,
    hooks=(delete_answers, queue_title),
    jobs=(write_title,),
)
