"""/health: is the database there, and is its schema the one that this code expects?"""

from typing import Any

from flask import Blueprint, current_app
from sqlalchemy.exc import SQLAlchemyError

bp = Blueprint("health", __name__)


@bp.get("/health")
def health() -> tuple[dict[str, Any], int]:
    """Answer 200 when the database is at the head of the history, else 503 and why."""
    from . import history

    try:
        with current_app.extensions["sqlalchemy"].engine.connect() as connection:
            applied = history.applied(connection)
    except SQLAlchemyError:
        return {"database": "unreachable"}, 503
    heads = history.heads()
    schema = "at head" if applied == heads else "behind"
    return {"database": "ok", "schema": schema}, 200 if applied == heads else 503
