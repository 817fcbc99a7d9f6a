"""The admin's pages and its log; a generated project's own tests look at who is let in."""

import logging

import pytest
from flask_admin import Admin
from flask_admin.actions import action
from flask_security import Security, SQLAlchemyUserDatastore, hash_password
from users import Country, Role, User, Visit, application, db

from flask_keel.admin import Index, Rows, audit

ADA = {"email": "ada@example.com", "password": "correct horse"}


class Roles(Rows):
    """A page of the application's own."""

    @action("retry", "Retry")
    def retry(self, ids):
        for number, id in enumerate(ids):
            self.get_one(id).name = f"tried {number}"
            db.session.flush()
            db.session.rollback()
        self.get_one(ids[-1]).name = "done"
        db.session.commit()


def elsewhere():
    db.session.add(Role(name="elsewhere"))
    db.session.commit()
    return ""


@pytest.fixture
def serve():
    """Make an application with an admin, and a client who is logged in there."""

    def made(**named):
        app = application()
        Security(app, SQLAlchemyUserDatastore(db, User, Role))
        admin = Admin(app, index_view=Index())
        admin.add_view(Rows(User, db))
        admin.add_view(Roles(Role, db))
        admin.add_view(Rows(Country, db))
        admin.add_view(Rows(Visit, db))
        app.post("/elsewhere")(elsewhere)
        audit(app, db, **named)
        with app.app_context():
            ada = User(email=ADA["email"], password=hash_password(ADA["password"]))
            ada.roles = [Role(name="admin")]
            db.session.add(ada)
            db.session.commit()
        client = app.test_client()
        client.post("/login", data=ADA)
        return client

    return made


@pytest.fixture
def audited(caplog):
    caplog.set_level(logging.INFO, "audit")
    return lambda: [record.message for record in caplog.records if record.name == "audit"]


def test_a_change_is_one_line_however_many_applications_there_are(serve, audited):
    serve()
    client = serve()
    client.post("/admin/role/new/", data={"name": "editor"})
    client.post("/admin/role/edit/?id=2", data={"name": "author"})
    client.post("/admin/role/delete/", data={"id": "2"})
    made, renamed, deleted = audited()
    assert made.startswith("ada@example.com created Role (2,) ") and "['editor']" in made
    assert renamed == "ada@example.com changed Role (2,) name: ['editor'] -> ['author']"
    assert deleted.startswith("ada@example.com deleted Role (2,)")


def test_what_is_undone_or_done_elsewhere_has_no_line(serve, audited):
    client = serve()
    client.post("/elsewhere")
    client.post("/admin/role/new/", data={"name": "elsewhere"})  # there is one
    client.post("/admin/role/action/", data={"action": "retry", "rowid": ["2", "2"]})
    assert audited() == ["ada@example.com changed Role (2,) name: ['elsewhere'] -> ['done']"]


def test_a_secret_is_in_no_line(serve, audited):
    client = serve(secret=["email"])
    form = {"email": "bob@example.com", "password": "hidden", "fs_uniquifier": "hidden"}
    client.post("/admin/user/new/", data={**form, "tf_counter": 7})
    (line,) = audited()
    assert "created User (2,) " in line and "tf_counter" in line
    assert "hidden" not in line and "bob" not in line


def test_a_page_or_a_row_that_is_nowhere_is_no_error(serve):
    client = serve()
    assert client.get(f"/admin/user/?page={10**30}").status_code == 200
    for key in ("99", "nonsense", 10**30):
        assert client.get(f"/admin/user/edit/?id={key}").status_code == 404


def test_a_key_that_nothing_else_gives_a_value_is_asked_for(serve, audited):
    client = serve()
    for form in ({"code": "de", "name": "Germany"}, {"code": "fr", "name": "France"}):
        assert client.post("/admin/country/new/", data=form).status_code == 302
    client.post("/admin/visit/new/", data={"country_code": "fr", "user": "1"})
    *_, made = audited()
    assert "created Visit (1,) " in made and "['fr']" in made
    form = client.get("/admin/visit/new/").text
    assert 'name="country_code"' in form and 'name="user"' in form
    assert 'name="user_id"' not in form and 'name="id"' not in form
