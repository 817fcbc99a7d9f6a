"""The blog: its list, a post, and the form that writes one."""

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


POST = {"name": "Ada", "email": "ada@example.com", "title": "New & old", "body": "<b>Text</b>"}


def test_a_post_that_was_written_is_there_as_it_was_written(client):
    page = client.post("/write", data=POST, follow_redirects=True)
    assert page.request.path == "/posts/new-old"
    assert "New &amp; old" in page.text
    assert "&lt;b&gt;Text&lt;/b&gt;" in page.text
    assert "New &amp; old" in client.get("/").text


def test_a_form_without_a_title_comes_back_and_says_so(client):
    page = client.post("/write", data={**POST, "title": " "})
    assert page.status_code == 422
    assert "This field is required." in page.text
    assert "ada@example.com" in page.text


def test_a_title_that_is_there_already_comes_back_and_says_so(client):
    client.post("/write", data=POST)
    page = client.post("/write", data={**POST, "title": "New, old!"})
    assert page.status_code == 422
    assert "A post of this title is there already." in page.text


def test_a_draft_has_no_page(client):
    seed.seed(db.session())
    db.session.commit()
    assert client.get("/posts/hello").status_code == 200
    assert client.get("/posts/a-draft").status_code == 404
