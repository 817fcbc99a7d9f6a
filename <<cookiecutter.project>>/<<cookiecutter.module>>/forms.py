"""The forms, and what they take for an answer."""

from flask_wtf import FlaskForm
from wtforms import EmailField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Regexp


def stripped(text: str | None) -> str | None:
    """Without blanks around it, and without what PostgreSQL takes into no text."""
    return text and text.replace("\0", "").strip()


class PostForm(FlaskForm):
    """A new post."""

    name = StringField("Your name", [DataRequired(), Length(max=80)], [stripped])
    email = EmailField(
        "Your e-mail address, which is not shown",
        [DataRequired(), Length(max=255), Regexp(r"[^@\s]+@[^@\s]+$", message="No address.")],
        [stripped],
    )
    title = StringField("Title", [DataRequired(), Length(max=200)], [stripped])
    summary = StringField("Summary, if you like", [Length(max=500)], [stripped])
    body = TextAreaField("Text", [DataRequired(), Length(max=10_000)], [stripped])
