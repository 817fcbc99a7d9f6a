"""The starter accounts, as people use it: its pages in a real browser, its commands, its history."""

import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import databases
import pytest
from passlib.totp import TOTP
from selenium.webdriver.support.ui import Select
from serving import (
    PATIENCE,
    assert_refuses,
    emulate,
    fill,
    findings,
    free_port,
    gunicorn,
    press,
    served,
)
from sqlalchemy import column, insert, select, table

LONG = bool(os.environ.get("LONG_DRILLS"))
NOTE = """
id: Mapped[int] = mapped_column(primary_key=True)
user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id"))
text: Mapped[str] = mapped_column(sa.String(80))
user: Mapped[User] = relationship(backref="notes")
"""
PASSWORD = "correct horse"


@pytest.fixture
def accounts(new_project):
    """A fresh project with accounts, on SQLite."""
    return new_project(starter="accounts")


class Visitor:
    """Somebody at the browser, who looks at each page for what axe-core calls serious."""

    def __init__(self, browser, url, log):
        self.browser, self.url, self.log = browser, url, log
        self.looked = set()

    def go(self, page):
        self.browser.get(page if page.startswith("http") else self.url + page)
        self.look()

    def look(self, what=""):
        place = self.browser.current_url.removeprefix(self.url).partition("?")[0][:12] + what
        if place not in self.looked:
            self.looked.add(place)
            assert findings(self.browser) == [], place
            wide = self.browser.execute_script("return document.documentElement.scrollWidth")
            assert wide <= self.browser.execute_script("return window.innerWidth"), place

    def fill(self, **values):
        fill(self.browser, **values)
        self.look()

    def press(self, label):
        xpath = f"//button[normalize-space()={label!r}] | //a[normalize-space()={label!r}]"
        press(self.browser, self.browser.find_element("xpath", xpath))

    def log_in(self, email, password=PASSWORD):
        self.go("/login")
        self.fill(email=email, password=password)

    @property
    def said(self):
        return self.browser.find_element("tag name", "main").text

    @property
    def is_in(self):
        return "Log out" in self.browser.find_element("tag name", "nav").text

    def mailed(self, what):
        """The last link of this kind that was printed to the terminal."""
        return re.findall(rf"{self.url}/{what}/[\w.-]+", self.log.read_text())[-1]


@pytest.fixture(params=[(320, "dark"), (1200, "light")] if LONG else [(320, "dark")])
def visitor(request, accounts, browser, tmp_path):
    """A visitor of a served project with a model of its own; and the password of its admin."""
    imports = "from sqlalchemy.orm import relationship\nfrom my_app.models.user import User\n"
    accounts.model("note", NOTE.strip(), imports)
    columns = '    column_list = ("email",'
    accounts.replace("my_app/admin.py", columns, f"    inline_models = (Note,)\n{columns}")
    imported = "from .models.user import User"
    accounts.replace("my_app/admin.py", imported, f"from .models.note import Note\n{imported}")
    name, on = "etc/conf/dev.conf", "SECURITY_TWO_FACTOR = True\n"
    accounts.write(name, on + (accounts.path / name).read_text())
    password = re.search("password: (.*)", accounts.db("rebuild").assert_ok().said)[1]
    port, log = free_port(), tmp_path / "log"
    command = gunicorn(accounts, "--bind", f"127.0.0.1:{port}")
    env = accounts.environment(PYTHONUNBUFFERED="1")
    with served(command, accounts.path, env, port, log) as url:
        browser.delete_all_cookies()
        emulate(browser, *request.param)
        browser.get_log("browser")
        yield Visitor(browser, url, log), password


@pytest.mark.long
@pytest.mark.xdist_group("browser")
def test_accounts_in_a_browser(visitor):
    visitor, password = visitor
    browser = visitor.browser

    # register, confirm, log in
    visitor.go("/register")
    name = "<script>alert(1)</script>"
    visitor.fill(name=name, email="", password="short", password_confirm="other")
    assert browser.find_element("id", "email-error").text == "Email not provided"
    given = {"password": PASSWORD, "password_confirm": PASSWORD}
    visitor.fill(name=name, email="ada@example.com", **given)
    visitor.log_in("ada@example.com")
    assert not visitor.is_in
    visitor.go(visitor.mailed("confirm"))
    visitor.log_in("ada@example.com", "wrong")
    assert "invalid" in visitor.said and not visitor.is_in
    visitor.log_in("ada@example.com")
    assert visitor.is_in and name in browser.find_element("tag name", "nav").text

    # a user is refused the admin
    visitor.go("/admin/user/")
    assert visitor.said.startswith("Forbidden")

    # change the password, log out, forget it
    visitor.go("/change")
    new = "battery staple"
    visitor.fill(password=PASSWORD, new_password=new, new_password_confirm=new)
    assert visitor.is_in
    visitor.press("Log out")
    assert not visitor.is_in
    visitor.go("/reset")
    visitor.fill(email="ada@example.com")
    link = visitor.mailed("reset")
    visitor.go(link)
    visitor.fill(**given)
    visitor.go(link)
    assert "Invalid reset password token." in visitor.said
    visitor.log_in("ada@example.com")

    # a second factor: its codes are asked for from then on
    visitor.go("/tf-setup")
    browser.find_element("css selector", "input[value=authenticator]").click()
    press(browser, browser.find_element("css selector", "main [type=submit]"))
    visitor.look("with the secret")
    assert browser.execute_script("return document.getElementById('qrcode').naturalWidth") > 0
    codes = TOTP(re.search(r"^[A-Z2-7]{4}(-[A-Z2-7]+)+$", visitor.said, re.M)[0])
    visitor.fill(code=codes.generate().token)
    visitor.press("Log out")
    visitor.log_in("ada@example.com")
    assert not visitor.is_in
    visitor.fill(code="000000")
    assert "Invalid code" in visitor.said and not visitor.is_in
    visitor.fill(code=codes.generate(time.time() + 60).token)
    ada = browser.get_cookie("session")
    assert visitor.is_in
    visitor.press("Log out")

    # the admin: search, edit with a row of another model, ask before deleting
    visitor.log_in("admin@example.com", password)
    visitor.go("/admin/user/")
    visitor.fill(search="' OR 1=1 --")
    assert "There is none." in visitor.said
    visitor.fill(search="ADA")
    assert "ada@example.com" in visitor.said and "admin@example.com" not in visitor.said
    visitor.press("Edit")
    visitor.look()
    browser.find_element("xpath", "//button[.='Add one']").click()
    Select(browser.find_element("name", "roles")).select_by_visible_text("admin")
    visitor.fill(**{"name": "Ada", "notes-0-text": "a note"})
    assert "Ada" in visitor.said
    logged = visitor.log.read_text()
    assert "admin@example.com changed User (2,)" in logged and "created Note (1,)" in logged
    visitor.go("/admin/note/")
    assert "a note" in visitor.said
    browser.find_element("name", "rowid").click()
    assert not browser.find_element("xpath", "//button[.='Yes, delete']").is_displayed()
    browser.find_element("tag name", "summary").click()
    visitor.press("Yes, delete")
    assert "There is none." in visitor.said
    assert "deleted Note (1,)" in visitor.log.read_text()
    visitor.go("/admin/user/edit/?id=2")
    browser.find_element("tag name", "summary").click()
    visitor.press("Yes, delete")
    assert "ada@example.com" not in visitor.said
    browser.delete_all_cookies()
    browser.add_cookie(ada)
    visitor.go("/")
    assert not visitor.is_in

    # nobody goes on guessing
    for _ in range(11):
        if "Too Many Requests" not in visitor.said:
            visitor.log_in("admin@example.com", "wrong")
    assert visitor.said.startswith("Too Many Requests")
    said = [entry["message"] for entry in browser.get_log("browser")]
    assert [line for line in said if "403 (" not in line and "429 (" not in line] == []


def users(project, *arguments, **env):
    return project.warm(*project.manage, "users", *arguments, **env)


def test_accounts_by_command_and_what_is_wrong_in_one_sentence(accounts):
    accounts.db("upgrade", "4c9d02e7ab15").assert_ok()
    users(accounts, "list").assert_one_sentence("type db upgrade")
    accounts.db("upgrade").assert_ok()
    made = users(accounts, "create", "--admin", "Ada@example.com").assert_ok()
    assert re.fullmatch(r"\S{16}\n", made.out)
    users(accounts, "create", "ada@example.com").assert_one_sentence("manage.py users list")
    users(accounts, "deactivate", "eve@example.com").assert_one_sentence("type my-app users list")
    users(accounts, "create", "nobody").assert_one_sentence("ada@example.com")
    listed = users(accounts, "list").assert_ok()
    assert listed.out == "ada@example.com\tAda\tadmin\tactive\n"
    accounts.database.write_text("a letter to my aunt" * 90)
    users(accounts, "list").assert_one_sentence("is not a SQLite database")


@pytest.fixture(params=["sqlite", *(["postgresql", "mariadb"] if LONG else [])])
def on_any(request, new_project):
    """A fresh project with accounts on each database, and its URL."""
    if request.param == "sqlite":
        project = new_project(starter="accounts")
        yield project, f"sqlite:///{project.database}"
        return
    kind = {"postgresql": "postgresql", "mariadb": "mysql"}[request.param]
    with databases.fresh(request.getfixturevalue(f"{request.param}_server")) as url:
        project = new_project(starter="accounts", database=kind)
        project.env["DEV_DATABASE_URL"] = url
        yield project, url


def test_users_that_are_there_get_the_login_columns_each_a_value_of_its_own(on_any):
    project, url = on_any
    project.db("upgrade", "4c9d02e7ab15").assert_ok()
    user = table("user", *map(column, ("id", "name", "email", "fs_uniquifier", "active")))
    rows = [{"name": str(n), "email": f"{n}@example.com"} for n in range(20)]
    with databases.engine(url).connect() as connection:
        connection.execute(insert(user), rows)
    project.db("upgrade").assert_ok()
    with databases.engine(url).connect() as connection:
        found = connection.execute(select(user)).all()
    assert len({row.fs_uniquifier for row in found} - {None, ""}) == len(rows)
    assert all(row.active for row in found)
    assert "nothing to migrate" in project.db("migrate").assert_ok().said
    assert "2 migrations linted and proved" in project.db("check").assert_ok().said
    project.db("downgrade", "--yes").assert_ok()
    with databases.engine(url).connect() as connection:
        kept = connection.execute(select(user.c.name, user.c.email)).all()
    assert [row._asdict() for row in kept] == rows
    for file in project.versions.glob("*.py"):
        assert re.findall(r"^(?:import|from) (\w+)", file.read_text(), re.M) == [
            "sqlalchemy",
            "alembic",
        ]


def test_its_history_says_why_where_others_wait(new_project):
    project = new_project(starter="accounts", database="mysql")
    said = project.db("check", "--quick", SETTINGS="dev.conf").assert_ok().said.splitlines()
    assert said[-1].startswith("2 changed migrations linted"), said
    assert len(said) == 2, said


@pytest.mark.drill
def test_accounts_are_taken_out_as_the_readme_says(accounts, new_project):
    accounts.db("rebuild").assert_ok()
    readme = (accounts.path / "README.md").read_text().replace("\n", " ")
    way = readme[readme.index("To take accounts out") :]
    files, reason = way.partition("After `make install`")[0], re.search("`# (lint: .+?)`", way)[1]
    gone, mended = (re.findall("`([^`]+)`", part) for part in files.split("their lines in"))
    never = new_project(starter="bare").path

    def there(name):
        return next(accounts.path.rglob(name.rstrip("/")))

    for path in map(there, gone):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in map(there, mended):
        for file in path.iterdir() if path.is_dir() else [path]:
            # without their lines it is as where they never were
            shutil.copy(never / file.relative_to(accounts.path), file)

    texts = [p for p in accounts.path.rglob("*") if p.suffix in (".py", ".toml", ".yaml", ".conf")]
    for file in [*texts, *accounts.path.rglob("*.html")]:
        assert not re.search("(?i)flask.security|flask.admin|limiter|mail_url", file.read_text()), (
            file
        )
    migration = accounts.new_migration("-m", "accounts go")
    accounts.db("check").assert_one_sentence("drop-table")
    migration.write_text(migration.read_text().replace("():\n", f"():\n    # {reason}\n", 1))
    accounts.db("check").assert_ok()
    accounts.db("upgrade", "--yes").assert_ok()
    accounts.run(sys.executable, "-m", "ruff", "check", ".").assert_ok()
    accounts.run(sys.executable, "-m", "ruff", "format", "--check", ".").assert_ok()
    tests = accounts.run(sys.executable, "-m", "pytest", "-q", SETTINGS="test.conf").assert_ok()
    assert " passed" in tests.out


@pytest.fixture
def production(accounts):
    """The project with all that production needs, but for what limits are counted in."""
    url = f"sqlite:///{accounts.path}/var/prod.db"
    accounts.env |= {"SETTINGS": "prod.conf", "DATABASE_URL": url, "SECRET_KEY": "0123456789" * 4}
    accounts.env |= {"TRUSTED_HOSTS": "127.0.0.1", "MAIL_URL": "smtp://127.0.0.1:1"}
    return accounts


@pytest.mark.drill
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("TRUSTED_HOSTS", None, "TRUSTED_HOSTS is not set"),
        ("MAIL_URL", None, "MAIL_URL=smtp+tls://"),
        ("MAIL_URL", "http://host", "MAIL_URL=smtp+tls://"),
        ("MAIL_URL", "smtp://host:port", "prod.conf does not run"),
        ("RATELIMIT_STORAGE_URI", None, "RATELIMIT_STORAGE_URI is not set"),
        ("RATELIMIT_STORAGE_URI", "nonsense", "RATELIMIT_STORAGE_URI is no storage"),
        ("RATELIMIT_STORAGE_URI", "redis://host:port", "RATELIMIT_STORAGE_URI is no storage"),
    ],
)
def test_production_is_not_served_without_what_accounts_need(production, key, value, words):
    env = {"RATELIMIT_STORAGE_URI": "memory://", key: value}
    command = gunicorn(production, "--bind", f"127.0.0.1:{free_port()}")
    assert_refuses(production.run(*command, **env), words)


@pytest.mark.drill
def test_limits_hold_across_two_workers(production, tmp_path):
    if not shutil.which("redis-server"):
        databases.missing("no Redis: apt-get install redis-server")
    production.db("upgrade").assert_ok()
    port, store = free_port(), free_port()
    production.env["RATELIMIT_STORAGE_URI"] = f"redis://127.0.0.1:{store}"
    redis = ("redis-server", "--port", str(store), "--bind", "127.0.0.1", "--save", "")
    command = gunicorn(production, "--bind", f"127.0.0.1:{port}", "--workers=2", "--threads=1")
    env, log = production.environment(), tmp_path / "log"
    with (
        served(redis, tmp_path, env, store),
        served(command, production.path, env, port, log) as url,
    ):
        codes = [guess(f"{url}/login") for _ in range(14)]
    assert codes == [200] * 10 + [429] * 4


def guess(page):
    """Give the status of a wrong password, from a browser that nobody has seen before."""
    with urllib.request.urlopen(page, timeout=PATIENCE) as form:
        cookie = form.headers["Set-Cookie"].partition(";")[0]
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)', form.read().decode())[1]
    said = {"csrf_token": token, "email": "ada@example.com", "password": "wrong"}
    data = urllib.parse.urlencode(said).encode()
    try:
        request = urllib.request.Request(page, data, {"Cookie": cookie})
        return urllib.request.urlopen(request, timeout=PATIENCE).status
    except urllib.error.HTTPError as error:
        return error.code
