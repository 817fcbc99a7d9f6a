"""Accounts: register, confirm, log in, change and reset a password, and the admin."""

import logging
import re
import time
from datetime import timedelta

import pytest
from passlib.totp import TOTP

from <<cookiecutter.module>> import create_app, users
from <<cookiecutter.module>>.extensions import db
from <<cookiecutter.module>>.models.user import User

ADA = {"email": "ada@example.com", "password": "correct horse"}


@pytest.fixture
def register(app):
    """Make accounts, and return a browser of sorts for each, logged in."""

    def registered(email, admin=False):
        password = users.add(db.session(), email, admin)
        db.session.commit()
        client = app.test_client()
        assert log_in(client, email, password)
        return client

    return registered


@pytest.fixture
def set_up(app):
    """Make the application again, on the same database, with other settings."""

    def made(**settings):
        url = app.config["SQLALCHEMY_DATABASE_URI"]
        again = create_app("test.conf", {"SQLALCHEMY_DATABASE_URI": url, **settings})
        again.test_client_class = app.test_client_class
        return again

    return made


def log_in(client, email, password):
    client.post("/login", data={"email": email, "password": password})
    return is_in(client)


def is_in(client):
    return "Log out" in client.get("/").text


def last_link(app):
    mail = app.extensions["mailman"].outbox[-1]
    return re.findall(r"http://localhost(/\S+)", mail.body)[0]


def test_who_registers_is_let_in_when_the_address_is_confirmed(app, client):
    form = {**ADA, "name": "<b>Ada</b>", "password_confirm": ADA["password"]}
    client.post("/register", data=form)
    assert not log_in(client, **ADA)
    client.get(last_link(app))
    assert log_in(client, **ADA)
    assert "&lt;b&gt;Ada&lt;/b&gt;" in client.get("/").text


def test_a_new_password_ends_the_other_sessions(app, register):
    here = register("ada@example.com")
    app.test_client().post("/reset", data={"email": "ada@example.com"})
    link = last_link(app)
    new = {"password": "battery staple", "password_confirm": "battery staple"}
    app.test_client().post(link, data=new)
    assert not is_in(here)
    again = {"password": "another one", "password_confirm": "another one"}
    assert "/reset" in app.test_client().post(link, data=again).location
    assert log_in(here, "ada@example.com", "battery staple")


def test_a_link_that_is_too_old_lets_nobody_in(app, client, register):
    register("ada@example.com")
    app.config["SECURITY_RESET_PASSWORD_WITHIN"] = timedelta(seconds=-1)
    client.post("/reset", data={"email": "ada@example.com"})
    new = {"password": "battery staple", "password_confirm": "battery staple"}
    assert "/reset" in client.post(last_link(app), data=new).location
    assert not log_in(client, "ada@example.com", "battery staple")


def test_nobody_is_told_who_has_an_account(app, client, register):
    register("ada@example.com")
    said = {client.post("/reset", data={"email": f"{name}@example.com"}).status for name in "ab"}
    wrong = [
        app.test_client().post("/login", data={"email": email, "password": "wrong"}).text
        for email in ("ada@example.com", "bob@example.com")
    ]
    assert said == {"200 OK"}
    assert wrong[0].replace("ada@", "bob@") == wrong[1]


def test_guesses_come_to_an_end(client):
    codes = [client.post("/login", data={**ADA, "password": str(i)}).status_code for i in range(11)]
    assert codes == [200] * 10 + [429]


def guess(app, email, number):
    data = {"email": email, "password": "wrong"}
    other = {"REMOTE_ADDR": f"10.0.0.{number}"}
    return app.test_client().post("/login", data=data, environ_overrides=other).status_code


def test_guesses_from_many_addresses_end_too_and_lock_nobody_out(set_up):
    app = set_up(RATELIMIT_ACCOUNT="3 per hour")
    users.add(db.session(), "ada@example.com")
    db.session.commit()
    for spelled in ("ada@example.com", "nobody@example.com"):
        tried = spelled, spelled.upper(), spelled.replace("ex", "ex\ufe0f"), spelled
        codes = [guess(app, email, number) for number, email in enumerate(tried)]
        assert codes == [200, 200, 200, 429]
    client = app.test_client()
    client.post("/reset", data={"email": "ada@example.com"})
    new = {"password": "battery staple", "password_confirm": "battery staple"}
    client.post(last_link(app), data=new)
    assert log_in(client, "ada@example.com", "battery staple")
    assert guess(app, "ada@example.com", 5) == 429


def test_an_address_lets_in_as_it_is_written(client):
    password = users.add(db.session(), "ada@example.com")
    db.session.commit()
    assert not log_in(client, "àda@example.com", password)
    assert log_in(client, "ADA@example.com", password)


def test_a_code_of_the_second_factor_lets_in_once(set_up):
    app = set_up(SECURITY_TWO_FACTOR=True)
    password = users.add(db.session(), "ada@example.com")
    db.session.commit()
    client = app.test_client()
    assert log_in(client, "ada@example.com", password)
    page = client.post("/tf-setup", data={"setup": "authenticator"}).text
    codes, now = TOTP(re.findall(r"<div>([A-Z2-7-]{30,})</div>", page)[0]), time.time()
    at = {minutes: codes.generate(now + 60 * minutes).token for minutes in (-60, -1, 1)}
    client.post(re.findall(r'"(/tf-setup/\S+)"', page)[0], data={"code": at[-1]})

    def enter(code):
        client.post("/logout")
        assert not log_in(client, "ada@example.com", password)
        client.post("/tf-validate", data={"code": code})
        return is_in(client)

    assert [enter(at[-60]), enter(at[-1]), enter("")] == [False, False, False]
    client.post("/tf-rescue", data={"help_setup": "email"})
    mailed = re.findall(r"\b\d{6}\b", app.extensions["mailman"].outbox[-1].body)[0]
    client.post("/tf-validate", data={"code": mailed})
    assert is_in(client)
    assert [enter(mailed), enter(at[1]), enter(at[1])] == [False, True, False]


@pytest.mark.parametrize("value", ["x" * 5000, "a\0b"])
def test_what_no_form_means_is_refused(client, value):
    assert client.post("/login", data={**ADA, "password": value}).status_code == 400
    client.application.config["MAX_CONTENT_LENGTH"] = 1000
    assert client.post("/login", json={**ADA, "password": value}).status_code == 415


def test_no_cache_keeps_a_page_of_an_account(client):
    assert client.get("/login").headers["Cache-Control"] == "private, no-store"


def test_the_admin_is_for_its_role_alone(client, register):
    assert "/login" in client.get("/admin/user/").location
    assert register("bob@example.com").get("/admin/user/").status_code == 403
    assert register("ada@example.com", admin=True).get("/admin/user/").status_code == 200


def test_the_admin_edits_a_user_and_the_log_says_who_did_what(register, caplog):
    admin, bob = register("ada@example.com", admin=True), register("bob@example.com")
    assert "bob@example.com" in admin.get("/admin/user/?search=BOB").text
    assert "bob@example.com" not in admin.get("/admin/user/?search=' OR 1=1 --").text
    key = db.session.query(User.id).filter_by(email="bob@example.com").scalar()
    with caplog.at_level(logging.INFO, "audit"):
        form = {"email": "bob@example.com", "name": "Bob"}  # without its tick: not active
        admin.post(f"/admin/user/edit/?id={key}", data=form)
    line = "ada@example.com changed User"
    assert any(line in said and "active: [True] -> [False]" in said for said in caplog.messages)
    assert not is_in(bob)


def test_what_is_done_to_many_is_not_done_to_oneself(register):
    admin = register("ada@example.com", admin=True)
    bob, eve = register("bob@example.com"), register("eve@example.com")
    chosen = {"rowid": ["1", "2"], "action": "deactivate"}
    admin.post("/admin/user/action/", data=chosen)
    assert (is_in(admin), is_in(bob), is_in(eve)) == (True, False, True)
    admin.post("/admin/user/action/", data={"rowid": ["1", "2", "99"], "action": "delete"})
    assert "bob@example.com" in admin.get("/admin/user/").text
    admin.post("/admin/user/action/", data={"rowid": ["1", "2"], "action": "delete"})
    page = admin.get("/admin/user/").text
    assert "bob@example.com" not in page and "eve@example.com" in page


def test_an_admin_stays_one(register):
    admin = register("ada@example.com", admin=True)
    for page in ("user", "role"):
        admin.post(f"/admin/{page}/delete/", data={"id": 1})
    admin.post("/admin/user/edit/?id=1", data={"email": "ada@example.com", "name": "Ada"})
    admin.post("/admin/role/edit/?id=1", data={"name": "other"})
    assert admin.get("/admin/user/").status_code == 200


def test_accounts_from_a_terminal(app, client):
    def typed(*arguments):
        return app.test_cli_runner().invoke(args=["users", *arguments]).output

    password = typed("create", "--admin", "Ada@example.com").strip()
    assert typed("list") == "ada@example.com\tAda\tadmin\tactive\n"
    assert log_in(client, "ada@example.com", password)
    assert log_in(app.test_client(), ADA["email"], typed("reset-password", ADA["email"]).strip())
    assert not is_in(client)
    typed("deactivate", "ada@example.com")
    assert "deactivated" in typed("list")
    assert typed("create", "nobody").startswith("Error: ")
