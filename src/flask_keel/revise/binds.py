"""Models of other databases: ``__bind_key__``, https://flask-sqlalchemy.readthedocs.io/en/stable/binds/."""

from typing import Any


def left_out(app: Any) -> str | None:
    """Say which models belong to other databases, for which no migrations are written; None for none.

    :param app: the Flask application
    :returns: a sentence without its full stop
    """
    metadatas = getattr(app.extensions["migrate"].db, "metadatas", {})
    tables = [
        f"{table} ({key})"
        for key, metadata in metadatas.items()
        if key is not None
        for table in sorted(metadata.tables)
    ]
    if not tables:
        return None
    return (
        f"Left out: {', '.join(tables)}: migrations are for the default database alone, and these models "
        "have a __bind_key__ of another; make their tables there yourself"
    )
