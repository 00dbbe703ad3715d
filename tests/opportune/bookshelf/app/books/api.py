from app.books.service import Authors, Books, Reviews, Tags
from opportune.crud import CrudApi

routers = [
    CrudApi(Books, "/books").router,
    CrudApi(Authors, "/authors").router,
    CrudApi(Tags, "/tags").router,
    CrudApi(Reviews, "/reviews").router,
]
