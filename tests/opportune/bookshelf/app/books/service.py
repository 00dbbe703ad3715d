from sqlalchemy import ColumnElement, extract, func, select, true
from sqlmodel import col

from app.books.models import Author, Book, Review, Status, Tag
from opportune.crud import Crud, Permission, filter_by

IS_OF_BOOK = col(Review.book_id) == col(Book.id)


class Authors(Crud[Author]):
    search = sort = order = ("name",)
    read_permission = Permission.ANYONE


class Tags(Crud[Tag]):
    search = sort = order = ("name",)
    read_permission = Permission.ANYONE


class Books(Crud[Book]):
    # Published books for everyone, all of them for users who may edit.
    lookup = "slug"
    search = ("title", "isbn", "author.name")
    filters = ("tags", "author", "status", "price")
    sort = ("title", "price", "published_on", "rating")
    order = ("-published_on",)
    readonly = ("summary",)
    nested = ("author", "tags")
    read_permission = Permission.ANYONE
    average = select(func.avg(col(Review.stars))).where(IS_OF_BOOK)
    annotations = {"rating": average, "reviews": select(func.count(col(Review.id))).where(IS_OF_BOOK)}

    def readable(self) -> ColumnElement[bool]:
        return true() if self.may("update") else col(Book.status) == Status.PUBLISHED

    @filter_by
    def year(self, year: int) -> ColumnElement[bool]:
        return extract("year", col(Book.published_on)) == year


class Reviews(Crud[Review]):
    owner_column = "user_id"
    filters = ("book_id", "stars")
    sort = ("created_at", "stars")
    read_permission = Permission.ANYONE

    def readable(self) -> ColumnElement[bool]:
        return col(Review.book).has(self.visible(Book))
