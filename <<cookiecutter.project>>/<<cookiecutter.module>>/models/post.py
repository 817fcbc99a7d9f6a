"""What people write."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, String, Text, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from <<cookiecutter.module>>.extensions import db

if TYPE_CHECKING:
    from <<cookiecutter.module>>.models.user import User


class Post(db.Model):
    """A page of text; it goes when its author goes."""

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    slug: Mapped[str] = mapped_column(String(200), unique=True)
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    summary: Mapped[str | None] = mapped_column(String(500))
    published_at: Mapped[datetime | None]

    author: Mapped[User] = relationship(back_populates="posts")
