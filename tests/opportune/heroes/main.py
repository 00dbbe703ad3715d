"""The application of FastAPI's tutorial "SQL Databases", with its own engine, sessions, tables and handlers."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from sqlmodel import Session, SQLModel, create_engine, select

from .models import Hero, HeroCreate, HeroPublic

engine = create_engine(os.environ["DATABASE_URL"])


def create_db_and_tables() -> None:
    SQLModel.metadata.create_all(engine)


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
    create_db_and_tables()
    yield {"motto": "Assemble!"}


app = FastAPI(lifespan=lifespan)


@app.exception_handler(ZeroDivisionError)
async def on_division(_request: Request, _error: Exception) -> JSONResponse:
    return JSONResponse({"message": "Oops!"}, 418)


@app.middleware("http")
async def add_header(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers["X-Heroes"] = getattr(request.state, "motto", "")
    return response


@app.post("/heroes/", response_model=HeroPublic)
def create_hero(hero: HeroCreate, session: SessionDep) -> Hero:
    row = Hero.model_validate(hero)
    session.add(row)
    session.commit()
    session.refresh(row)
    return row


@app.get("/heroes/", response_model=list[HeroPublic])
def read_heroes(session: SessionDep, offset: int = 0, limit: Annotated[int, Query(le=100)] = 100) -> Sequence[Hero]:
    return session.exec(select(Hero).offset(offset).limit(limit)).all()


@app.get("/heroes/{hero_id}", response_model=HeroPublic)
def read_hero(hero_id: int, session: SessionDep) -> Hero:
    hero = session.get(Hero, hero_id)
    if not hero:
        raise HTTPException(status_code=404, detail="Hero not found")
    return hero


@app.get("/divide")
def divide() -> float:
    return 1 / 0


@app.get("/health")
def health() -> str:
    return "fine"
