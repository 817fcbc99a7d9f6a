<% if cookiecutter.starter == "blog" %>
"""The starter rows that `make db` puts into a fresh development database."""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from .models.post import Post
from .models.user import User


def seed(session: Session) -> None:
    """Add an author and two posts."""
    ada = User(name="Ada", email="ada@example.com")
    ada.posts = [
        Post(
            title="Hello",
            slug="hello",
            body="This row came from seed.py.",
            summary="The first post.",
            published_at=datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None),
        ),
        Post(title="A draft", slug="a-draft", body="It is not published yet."),
    ]
    session.add(ada)
<% elif cookiecutter.starter == "accounts" %>
"""The starter rows that `make db` puts into a fresh development database."""

from flask import current_app
from sqlalchemy.orm import Session

from . import users


def seed(session: Session) -> str | None:
    """Add an admin in development; what is returned is said when the rows are there."""
    if not current_app.config.get("DEVELOPMENT"):
        return None
    return f"admin@example.com, password: {users.add(session, 'admin@example.com', admin=True)}"
<% else %>
"""The starter rows that `make db` puts into a fresh development database."""

from sqlalchemy.orm import Session


def seed(session: Session) -> None:
    """Add rows with session.add(...)."""
<% endif %>
