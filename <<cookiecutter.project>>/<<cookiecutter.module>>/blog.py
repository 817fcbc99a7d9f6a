"""The page that lists the posts."""

from flask import Blueprint, render_template
from sqlalchemy import select

from .extensions import db
from .models.post import Post

bp = Blueprint("blog", __name__)


@bp.get("/")
def index() -> str:
    """List the published posts, the newest first."""
    published = select(Post).where(Post.published_at.is_not(None))
    posts = db.session.scalars(published.order_by(Post.published_at.desc())).all()
    return render_template("blog/index.html", posts=posts)
