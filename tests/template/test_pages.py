"""The pages of a generated project in a real browser: they work, fit a telephone, and can be read by all."""

import os

import projects
import pytest
from serving import emulate, fill, findings, free_port, get, gunicorn, served

pytestmark = pytest.mark.xdist_group("browser")
BROKEN = "\n\n@bp.get('/broken')\ndef broken() -> str:\n    raise RuntimeError('no page')\n"


# in make test the one with more pages, in make test-all each
STARTERS = ["blog", "bare"] if os.environ.get("LONG_DRILLS") else ["blog"]


@pytest.fixture(scope="module", params=STARTERS)
def site(request, generated, tmp_path_factory):
    """The URL of a served project, and which starter it has."""
    project = projects.copy(generated(starter=request.param), tmp_path_factory.mktemp("site"))
    project.write("my_app/pages.py", (project.path / "my_app/pages.py").read_text() + BROKEN)
    project.db("rebuild").assert_ok()
    port = free_port()
    command = gunicorn(project, "--bind", f"127.0.0.1:{port}")
    with served(command, project.path, project.environment(SETTINGS="dev.conf"), port) as url:
        yield url, request.param


def pages(starter):
    return ["/", "/nowhere", "/broken", *(["/posts/hello", "/write"] if starter == "blog" else [])]


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (320, "dark")])
def test_every_page_can_be_read_by_everybody_and_on_a_telephone(
    site, browser, width, scheme, tmp_path
):
    url, starter = site
    emulate(browser, width, scheme)
    for page in pages(starter):
        browser.get(url + page)
        browser.save_screenshot(tmp_path / f"{page.strip('/').replace('/', '-') or 'index'}.png")
        assert findings(browser) == [], page
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, f"{page} is {wide} wide"
        assert browser.find_element("css selector", "nav .home").is_displayed()
        dark = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(255, 255, 255)") == (scheme == "light")


def test_no_page_says_anything_on_the_console(site, browser):
    url, starter = site
    browser.get_log("browser")
    for page in pages(starter):
        browser.get(url + page)
        expected = {"/nowhere": "404", "/broken": "500"}.get(page)
        said = [entry["message"] for entry in browser.get_log("browser")]
        assert all(expected and expected in message for message in said), said


def test_an_error_page_looks_like_the_rest_and_tells_no_secret(site):
    url, _ = site
    for page, status, words in [
        ("/nowhere", 404, "Not Found"),
        ("/broken", 500, "Internal Server Error"),
    ]:
        code, text = get(url + page)
        assert code == status
        assert f"<h1>{words}</h1>" in text and "style.css" in text
        assert "RuntimeError" not in text and "Traceback" not in text


def test_the_first_page_says_what_to_type_next(site):
    url, _ = site
    assert "make newmigration" in get(f"{url}/")[1]


def test_a_post_is_written_in_a_browser_and_what_is_wrong_is_said_beside_its_field(site, browser):
    url, starter = site
    if starter == "bare":
        assert get(f"{url}/write")[0] == 404
        return
    browser.get(f"{url}/write")
    fill(browser, name="Ada", email="nobody", title="<script>alert(1)</script>", body="A\n\nB")
    told = browser.find_element("id", "email-error").text
    assert told == "No address."
    assert browser.find_element("name", "body").get_attribute("value") == "A\n\nB"
    fill(browser, email="ada@example.com")
    assert browser.find_element("css selector", "h1").text == "<script>alert(1)</script>"
    assert browser.find_element("css selector", "[role=status]").text == "It is published."
    browser.get(url)
    titles = [title.text for title in browser.find_elements("css selector", "article h2")]
    assert titles == ["<script>alert(1)</script>", "Hello"]
