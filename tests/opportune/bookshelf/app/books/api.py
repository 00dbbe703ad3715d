from app.books.service import Authors, Books, Reviews, Tags
from opportune.crud import CrudApi

SERVICES = {"/books": Books, "/authors": Authors, "/tags": Tags, "/reviews": Reviews}
routers = [CrudApi(service, path).router for path, service in SERVICES.items()]
