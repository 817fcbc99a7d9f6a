"""/health: is the database there, and is its schema the one that this code expects?"""

from flask import Blueprint
from sqlalchemy.exc import SQLAlchemyError

from .extensions import db

bp = Blueprint("health", __name__)


@bp.get("/health")
def health():
    """Answer 200 when the database is at the head of the history, else 503 and why."""
    from .migrations.toolkit import history

    try:
        with db.engine.connect() as connection:
            applied = history.applied(connection)
    except SQLAlchemyError:
        return {"database": "unreachable"}, 503
    heads = history.heads()
    schema = "at head" if applied == heads else "behind"
    return {"database": "ok", "schema": schema}, 200 if applied == heads else 503
