from app.books import api, hooks, jobs, pages
from app.books.models import Author, Book, BookTag, Review, Tag
from opportune.feature import Feature, Link, PersonalData

books = Feature(
    name="books",
    summary="Books, and what their readers think of them.",
    models=[Author, Tag, Book, BookTag, Review],
    pages=pages.routers,
    api=api.routers,
    admin="app.books.admin",
    navigation=[Link("Books", "/books", "book")],
    groups={"Librarians": {"book": "*", "author": "*", "tag": "*"}},
    hooks=[hooks.queue_summary],
    jobs=[jobs.summarise],
    personal_data=PersonalData(summary="Your reviews", owners=[Review.user_id]),
)
