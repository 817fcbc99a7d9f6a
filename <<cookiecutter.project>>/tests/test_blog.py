"""The page that lists the posts."""

from <<cookiecutter.module>> import seed
from <<cookiecutter.module>>.extensions import db
from <<cookiecutter.module>>.models.user import User


def test_the_page_says_that_there_are_no_posts_yet(client):
    assert "No posts yet." in client.get("/").text


def test_the_page_lists_published_posts_and_no_drafts(client):
    seed.seed(db.session())
    db.session.commit()
    page = client.get("/").text
    assert "Hello" in page
    assert "Ada" in page
    assert "A draft" not in page


def test_the_posts_go_when_their_author_goes(app):
    seed.seed(db.session())
    db.session.commit()
    db.session.execute(db.delete(User))
    db.session.commit()
    assert db.session.execute(db.text("SELECT count(*) FROM post")).scalar_one() == 0
