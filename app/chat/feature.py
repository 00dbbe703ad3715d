from sqlalchemy import func

from app.chat import api, conversation_pages, demo, document_pages, pages, prompt_pages, share_pages
from app.chat.cards import home_card
from app.chat.hooks import delete_answers, queue_follow_ups, queue_title, store_document
from app.chat.jobs import delete_temporary, suggest_follow_ups, write_title
from app.chat.models import Conversation, Document, DocumentVersion, Message, Share
from app.chat.personal import personal_data
from app.chat.search import search_titles
from opportune.feature import Accounts, Admin, Data, Demo, Feature, Jobs, Link, Metric, Site, SiteSearch, UserColumn

chat = Feature(
    "chat",
    "Ask a language model and watch it answer; answers survive reloads, lost connections and restarts.",
    requires=("answers", "assistants"),
    models=(Conversation, Message, Document, DocumentVersion, Share),
    pages=(share_pages.router, document_pages.router, conversation_pages.router, prompt_pages.router, pages.router),
    api=(api.router, api.messages),
    admin=Admin(
        "app.chat.admin",
        metrics=(Metric("Messages", Message.created_at),),
        user_columns=(
            UserColumn("Conversations", Conversation.owner_id),
            UserColumn("Last conversation", Conversation.owner_id, func.max(Conversation.created_at)),
        ),
    ),
    site=Site(
        home_card=home_card,
        template_globals={"assistant_chat": "/chat?assistant_id="},
        navigation=(
            Link(
                "Chat", "/chat", "message-circle", signed_in=True, summary="Ask a question and watch the answer grow."
            ),
        ),
        searches=(SiteSearch("Conversations", search_titles, "/chat/search"),),
    ),
    data=Data(demo=Demo(demo.load, demo.clear)),
    accounts=Accounts(personal_data=personal_data),
    hooks=(delete_answers, store_document, queue_title, queue_follow_ups),
    jobs=Jobs((write_title, suggest_follow_ups, delete_temporary)),
)
