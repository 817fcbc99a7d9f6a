"""A server process of a generated project, asked over HTTP, and a real browser without a screen."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import axe_core_python
from databases import missing
from projects import Answer, Project, starting
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 30  # seconds
SEND = "button:not([type=button]), input[type=submit]"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def gunicorn(project: Project, *arguments: str) -> tuple[str, ...]:
    """The command that serves the project as production does."""
    return sys.executable, "-m", "gunicorn", f"{project.module}.wsgi:app", *arguments


def get(url: str) -> tuple[int, str]:
    """Return the status and the text of a page."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@contextmanager
def served(
    command: tuple[str, ...],
    cwd,
    env: dict[str, str],
    port: int,
    log: Path | None = None,
    **account,
) -> Iterator[str]:
    """Run a server until it answers on ``port``; give its URL; stop it and its children.

    :param log: the file that gets what it prints
    :param account: Popen's ``user`` and so on, where it is to be another account
    """
    # what reloads starts itself anew as it was started
    cold = account or "--debug" in command
    start = subprocess.Popen if cold else starting(command)
    process = start(
        command,
        cwd=cwd,
        env=env,
        stdout=log.open("w") if log else subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **account,
    )
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


def _wait(process: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing answers on port {port}")


def assert_refuses(answer: Answer, *words: str) -> None:
    """Assert that a server stopped with one sentence that says ``words``, and did not try again."""
    assert answer.code != 0, answer.said
    assert "Traceback" not in answer.said, answer.said
    assert answer.said.count("Booting worker") <= 1, answer.said
    errors = [line for line in answer.said.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, answer.said
    for word in words:
        assert word in errors[0], f"{word!r} is not in {errors[0]!r}"


@contextmanager
def chromium(folder: Path) -> Iterator:
    """Start Debian's Chromium with a profile of its own; give selenium's driver."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        missing("no browser: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={folder}",
    ):
        options.add_argument(argument)
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield window
    finally:
        window.quit()


def emulate(browser, width: int, scheme: str) -> None:
    """Make the window as wide as this, a telephone's below 500, light or dark."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    preferred = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": preferred})


def findings(browser) -> list[tuple[str, list[str]]]:
    """What axe-core calls serious or critical; it is no script of the page, so the CSP lets it in."""
    axe = Path(axe_core_python.__file__).parent / "axe.min.js"
    browser.execute_script(axe.read_text())
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    return [
        (item["id"], [node["html"] for node in item["nodes"]])
        for item in found["violations"]
        if item["impact"] in ("serious", "critical")
    ]


def fill(browser, **values: str) -> None:
    """Fill in the fields of these names, and send their form."""
    for name, value in values.items():
        field = browser.find_element("name", name)
        field.clear()
        field.send_keys(value)
    press(browser, field.find_element("xpath", "ancestor::form").find_element("css selector", SEND))


def press(browser, button) -> None:
    """Press what leads to another page, and wait for that."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    # while the page goes, chromedriver may say "Node with given id does not belong to the document"
    going = WebDriverWait(browser, PATIENCE, ignored_exceptions=[WebDriverException])
    going.until(staleness_of(button))
    # what is typed before a page is whole may be gone when it is
    going.until(lambda page: page.execute_script("return document.readyState") == "complete")
