"""A generated project behind gunicorn, with prod.conf: what a security review asks of its answers."""

import json
import urllib.error
import urllib.parse
import urllib.request

import projects
import pytest
from serving import assert_refuses, free_port, gunicorn, served

pytestmark = pytest.mark.xdist_group("production")
KEY = "0123456789abcdef" * 4
HOST = {"Host": "example.com", "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def project(generated, tmp_path_factory):
    made = projects.copy(generated(), tmp_path_factory.mktemp("production"))
    url = f"sqlite:///{made.path}/var/prod.db"
    made.env |= {"SETTINGS": "prod.conf", "DATABASE_URL": url, "SECRET_KEY": KEY}
    made.env |= {"TRUSTED_HOSTS": "example.com", "PROXIES": "1"}
    made.db("upgrade").assert_ok()
    return made


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "log"


@pytest.fixture(scope="module")
def site(project, log):
    port = free_port()
    command = gunicorn(project, "--bind", f"127.0.0.1:{port}")
    logged = ("sh", "-c", f'exec "$@" 2> {log}', "sh", *command)
    with served(logged, project.path, project.environment(), port) as url:
        yield url


def ask(url, data=None, **headers):
    """Return the answer to a request, whatever its status."""
    body = urllib.parse.urlencode(data).encode() if isinstance(data, dict) else data
    request = urllib.request.Request(url, body, HOST | headers)
    try:
        return urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        return error


def test_every_answer_has_the_headers_of_a_review(site):
    for page in ("/", "/write", "/nowhere", "/static/style.css", "/healthz"):
        answer = ask(site + page)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy and "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
        assert "camera=()" in answer.headers["Permissions-Policy"]
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=31")


def test_what_comes_over_http_is_told_nothing_of_https(site):
    answer = ask(f"{site}/", **{"X-Forwarded-Proto": "http"})
    assert "Strict-Transport-Security" not in answer.headers


def test_cookies_go_over_https_alone_and_to_no_script(site):
    cookie = ask(f"{site}/write").headers["Set-Cookie"]
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_a_probe_asks_by_an_address_and_over_http(site, page):
    answer = ask(site + page, Host="10.0.0.7:8000", **{"X-Forwarded-Proto": "http"})
    assert answer.status == 200 and answer.url == site + page


def test_a_host_that_is_not_ours_gets_no_page(site):
    answer = ask(f"{site}/", Host="evil.example")
    assert answer.status == 400
    assert "Posts" not in answer.read().decode()


FORM = {"name": "Ada", "email": "ada@example.com", "title": "T", "body": "B"}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (FORM, 400),
        ({}, 400),
        (FORM | {"csrf_token": "a.wrong.one"}, 400),
        (b"title=" + b"x" * 10_000_000, 413),
    ],
    ids=["no token", "nothing", "a wrong token", "ten megabytes"],
)
def test_a_form_that_is_not_ours_gets_a_page_and_writes_nothing(site, data, status):
    answer = ask(f"{site}/write", data)
    page = answer.read().decode()
    assert answer.status == status
    assert "<nav" in page and "Traceback" not in page
    assert "No posts yet." in ask(f"{site}/").read().decode()


@pytest.mark.some(2)
@pytest.mark.parametrize("given", ["abc-123", "a" * 65, "two\tparts", '{"x": 1}'])
def test_the_log_is_json_and_says_the_id_of_the_request(site, log, given):
    answer = ask(f"{site}/nowhere", **{"X-Request-ID": given})
    name = answer.headers["X-Request-ID"]
    assert (name == given) == (given == "abc-123")
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    (line,) = (line for line in lines if line["request_id"] == name and "status" in line)
    assert line["status"] == 404 and line["path"] == "/nowhere" and line["level"] == "INFO"


@pytest.mark.parametrize("fallbacks", [KEY, ""])
def test_a_session_of_an_older_key_lives_while_that_key_is_named(project, site, fallbacks):
    cookie = ask(f"{site}/write").headers["Set-Cookie"].partition(";")[0]
    port = free_port()
    env = project.environment(SECRET_KEY="f" * 64, SECRET_KEY_FALLBACKS=fallbacks)
    command = gunicorn(project, "--bind", f"127.0.0.1:{port}")
    with served(command, project.path, env, port) as other:
        new = ask(f"{other}/write", Cookie=cookie).headers["Set-Cookie"]
    assert (new is None) == (fallbacks == KEY)


@pytest.mark.parametrize(
    ("dsn", "words"),
    [("nonsense", "SENTRY_DSN is no address of Sentry")],
)
def test_a_dsn_that_is_none_is_a_sentence(project, dsn, words):
    command = gunicorn(project, "--bind", f"127.0.0.1:{free_port()}")
    assert_refuses(project.warm(*command, SENTRY_DSN=dsn), words)


def test_a_dsn_without_the_package_says_what_to_type(project):
    """A folder in front of the libraries hides the package."""
    project.write("hidden/sentry_sdk.py", "raise ImportError('not installed')\n")
    command = gunicorn(project, "--bind", f"127.0.0.1:{free_port()}")
    path = str(project.path / "hidden")
    answer = project.run(*command, SENTRY_DSN="https://a@sentry.example/1", PYTHONPATH=path)
    assert_refuses(answer, "sentry-sdk is not installed", "pip install 'sentry-sdk[flask]'")
    # a command needs no Sentry
    project.run(
        *project.manage, "db", "current", SENTRY_DSN="https://a@sentry.example/1", PYTHONPATH=path
    ).assert_ok()
