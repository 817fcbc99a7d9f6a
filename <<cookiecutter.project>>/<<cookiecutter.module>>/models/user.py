<% if cookiecutter.starter == "blog" %>
"""People who write."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import String, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from <<cookiecutter.module>>.extensions import db

if TYPE_CHECKING:
    from <<cookiecutter.module>>.models.post import Post


class User(db.Model):
    """Somebody who writes posts."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(255), unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    posts: Mapped[list[Post]] = relationship(
        back_populates="author", cascade="all, delete-orphan", passive_deletes=True
    )
<% else %>
"""Who may log in, and what they may do."""

from __future__ import annotations

from datetime import datetime
from secrets import token_hex

from email_validator import validate_email
from flask_security.core import RoleMixin, UserMixin
from sqlalchemy import Column, ForeignKey, String, Table, func, true
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from <<cookiecutter.module>>.extensions import db

# pyright: reportIncompatibleVariableOverride=false
user_role = Table(
    "user_role",
    db.Model.metadata,
    Column("user_id", ForeignKey("user.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", ForeignKey("role.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Role(db.Model, RoleMixin):
    """What its users may do; the role admin is let into /admin."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    description: Mapped[str | None] = mapped_column(String(255))

    def __str__(self) -> str:
        return self.name


class User(db.Model, UserMixin):
    """Somebody with an account; sessions and links end when `fs_uniquifier` changes."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(255), unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    password: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True, server_default=true())
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True, default=token_hex)
    confirmed_at: Mapped[datetime | None]
    tf_primary_method: Mapped[str | None] = mapped_column(String(64))
    tf_totp_secret: Mapped[str | None] = mapped_column(String(255))
    tf_counter: Mapped[int] = mapped_column(default=0, server_default="0")
    roles: Mapped[list[Role]] = relationship(secondary=user_role)  # type: ignore[assignment]

    @validates("email")
    def address(self, _key: str, email: str) -> str:
        """Keep an address as it is compared; ValueError where it is none."""
        return validate_email(email.strip(), check_deliverability=False).normalized.lower()

    def __str__(self) -> str:
        return self.email
<% endif %>
