"""Poems: a model with texts in several languages, with pages, an API and the admin."""

from sqlmodel import Field, Relationship

from opportune.admin import AdminView, Inline
from opportune.crud import Crud, CrudApi, CrudPages, Permission
from opportune.db.models.model import Versioned
from opportune.feature import Accounts, Admin, Feature, PersonalData
from opportune.fields import Line, Markdown, Text, Translated
from tests.opportune.tables import Titled, UnmigratedTable


class Poem(Titled, UnmigratedTable, Versioned, table=True):
    title: Translated[Line] = Field(max_length=20, description="As it is in the book.")
    about: Translated[Text] = ""
    note: Translated[Line] | None = Field(default=None, max_length=5)
    user_id: int | None = None


class Verse(UnmigratedTable, table=True):
    text: Translated[Markdown] = ""
    poem_id: int = Field(foreign_key="test_poem.id")
    poem: Poem = Relationship()


class Poems(Crud[Poem]):
    read_permission = write_permission = Permission.ANYONE
    search = ("title", "about")
    filters = ("title",)
    sort = ("title",)


class Verses(Crud[Verse]):
    read_permission = write_permission = Permission.ANYONE
    search = ("poem.title",)
    sort = ("poem.title",)
    nested = ("poem",)


class PoemAdmin(AdminView, model=Poem):
    can_import = True
    filters = ("title",)
    inlines = (Inline(Verse, "poem_id", ("text",)),)


class VerseAdmin(AdminView, model=Verse):
    columns = ("id", "poem", "poem.title")


poems = Feature(
    "poems",
    models=(Poem, Verse),
    pages=CrudPages(Poems, "/poems").router,
    api=(CrudApi(Poems, "/poems").router, CrudApi(Verses, "/verses").router),
    admin=Admin((PoemAdmin, VerseAdmin)),
    accounts=Accounts(personal_data=PersonalData(summary="Your poems", owners=(Poem.user_id,))),
)
