"""The pages of the blog: the list of posts, a post, and the form that writes one."""

import re
from datetime import UTC, datetime

from flask import Blueprint, flash, redirect, render_template, url_for
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response

from .extensions import db
from .forms import PostForm
from .models.post import Post
from .models.user import User

bp = Blueprint("blog", __name__)
PUBLISHED = Post.published_at.is_not(None)


@bp.get("/")
def index() -> str:
    """List the published posts, the newest first."""
    newest = select(Post).where(PUBLISHED).order_by(Post.published_at.desc()).limit(50)
    return render_template("blog/index.html", posts=db.session.scalars(newest).all())


@bp.get("/posts/<slug>")
def post(slug: str) -> str:
    """Show a published post."""
    found = db.first_or_404(select(Post).where(PUBLISHED, Post.slug == slug))
    return render_template("blog/post.html", post=found)


@bp.route("/write", methods=["GET", "POST"])
def write() -> str | Response | tuple[str, int]:
    """Write a post, and publish it."""
    form = PostForm()
    if not form.validate_on_submit():
        page = render_template("blog/write.html", form=form)
        return (page, 422) if form.errors else page
    said = form.data
    new = Post(
        author=author(said["name"], said["email"]),
        title=said["title"],
        slug=re.sub(r"\W+", "-", said["title"].lower()).strip("-")[:200] or "post",
        summary=said["summary"] or None,
        body=said["body"],
        published_at=datetime.now(UTC).replace(tzinfo=None),
    )
    db.session.add(new)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        form.title.errors = ["A post of this title is there already."]
        return render_template("blog/write.html", form=form), 422
    flash("It is published.")
    return redirect(url_for(".post", slug=new.slug))


def author(name: str, email: str) -> User:
    """Return who has this address, or somebody new."""
    found = db.session.scalar(select(User).where(User.email == email))
    return found or User(name=name, email=email)
