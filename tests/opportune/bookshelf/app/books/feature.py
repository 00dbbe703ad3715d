from app.books import api, hooks, jobs, pages
from app.books.models import Author, Book, BookTag, Review, Tag
from opportune.feature import Accounts, Admin, Feature, Jobs, Link, PersonalData, Site

books = Feature(
    "books",
    "Books, and what their readers think of them.",
    models=[Author, Tag, Book, BookTag, Review],
    pages=pages.routers,
    api=api.routers,
    admin=Admin("app.books.admin"),
    site=Site(navigation=[Link("Books", "/books", "book")]),
    accounts=Accounts(
        groups={"Librarians": {"book": "*", "author": "*", "tag": "*"}},
        personal_data=PersonalData(summary="Your reviews", owners=[Review.user_id]),
    ),
    hooks=[hooks.queue_summary],
    jobs=Jobs([jobs.summarise]),
)
