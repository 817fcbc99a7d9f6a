"""What the template's tests share: generated projects and real databases."""

import gc
import os
import shutil
import signal
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import databases
import installed
import projects
import pytest
import serving
from sqlalchemy import make_url

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # as the shell leaves it to what runs in its background, and each command here would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

# there is none while the tests are read
gc.disable()

MADE: list[str] = []  # by the process that the workers come from
SQLITE = [{"sqlite"}] * 4
MANY = [{"sqlite", "postgresql"}, *SQLITE, {"sqlite", "mariadb"}, *SQLITE]
# by fixture: the databases of which stories have one set each in `make test`, in turns
TURNS = {
    "any_database": MANY,
    "blog_on": MANY,
    "bench": [{"sqlite", "postgresql"}, {"sqlite", "mariadb"}],
    "server": [{"postgresql"}, {"mariadb"}],
    "url": [{"postgresql"}, {"mariadb"}],
}


def pytest_configure():
    """Keep what is temporary in memory: a slow disk takes a third of the time."""
    if "TMPDIR" not in os.environ and databases.memory(8):
        os.environ["TMPDIR"] = tempfile.tempdir = databases.temporary("keel")
        Path(tempfile.tempdir).chmod(0o1777)  # root's PostgreSQL runs under another account
        MADE.append(tempfile.tempdir)


def pytest_sessionfinish(exitstatus):
    """Take it away; after a failure it is there to be looked at until the next run."""
    for folder in MADE if exitstatus == 0 else ():
        shutil.rmtree(folder, ignore_errors=True)


def pytest_xdist_auto_num_workers():
    """One more than there are cores, since tests wait for servers, locks and processes too.

    Each of them imports the tests, makes projects and starts servers: more cost more than they bring.
    """
    return 1 + (os.cpu_count() or 1)


def pytest_collection_modifyitems(config, items):
    """Begin with what takes long: nobody is to wait for it at the end, with the other cores idle."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    left_out = set() if os.environ.get("LONG_DRILLS") else set(_left_out(items))
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish():
    """Look for garbage among what the tests make, and not among thousands of tests."""
    gc.freeze()
    gc.enable()


def _left_out(items):
    """Give what the long drills alone run: the other combinations, and the other servers."""
    tests, turns = defaultdict(list), Counter()
    for item in items:
        if item.get_closest_marker("drill"):
            yield item
        else:
            tests[item.parent.nodeid, getattr(item, "originalname", item.name)].append(item)
    for test in tests.values():
        if some := test[0].get_closest_marker("some"):
            kept = test[: some.args[0]]
        else:
            kept = _in_turn(test, turns)
            if test[0].get_closest_marker("one_of_each"):
                kept = _one_of_each(kept)
        yield from set(test).difference(kept)


def _in_turn(test, turns):
    """Those of a test that would run on each database for which it is their turn."""
    params = [getattr(item, "callspec", None) and item.callspec.params for item in test]
    for name in TURNS.keys() & (params[0] or ()):
        if {its[name] for its in params} == set().union(*TURNS[name]):
            kept = TURNS[name][turns[name] % len(TURNS[name])]
            turns[name] += 1
            return [item for item, its in zip(test, params, strict=True) if its[name] in kept]
    return test


def _one_of_each(items):
    """Give a few of a test's combinations: in them is each value of each parameter."""
    values = {item: {(k, repr(v)) for k, v in item.callspec.params.items()} for item in items}
    missing = set().union(*values.values())
    while missing:
        best = max(items, key=lambda item: len(values[item] & missing))
        missing -= values[best]
        yield best


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A home folder for cookiecutter, which keeps answers there."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def generated(tmp_path_factory, home):
    """Generate a project once for each set of answers."""
    made = {}

    def generate(**answers):
        key = tuple(sorted(answers.items()))
        if key not in made:
            made[key] = projects.generate(tmp_path_factory.mktemp("generated"), home, **answers)
        return made[key]

    return generate


@pytest.fixture
def new_project(generated, tmp_path):
    """A factory of fresh copies: ``new_project(starter="bare")``."""

    def new(**answers):
        folder = tmp_path / f"p{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return projects.copy(generated(**answers), folder)

    return new


@pytest.fixture
def open_folder():
    """A folder that every account may enter: root's PostgreSQL runs under another one."""
    folder = Path(tempfile.mkdtemp(prefix="open-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def blog(new_project):
    """A fresh project with the blog, on SQLite."""
    return new_project()


@pytest.fixture
def bare(new_project):
    """A fresh project without models, on SQLite."""
    return new_project(starter="bare")


@pytest.fixture(scope="session")
def shared_installation(generated, tmp_path_factory):
    """A project that uv has installed, in a folder with an odd name."""
    folder = tmp_path_factory.mktemp("installed") / "it's 50% of $HOME"
    folder.mkdir()
    return installed.install(generated(), folder, installed.with_uv())


@pytest.fixture
def application(shared_installation):
    """An installed project as it was generated: installed once, cleaned for each test."""
    shared_installation.reset()
    return shared_installation


@pytest.fixture(scope="session")
def postgresql_server():
    """The URL of a real PostgreSQL, for its superuser."""
    with databases.postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_server():
    """The URL of a real MariaDB, for its root."""
    with databases.mariadb() as url:
        yield url


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request):
    """Each of the servers in turn."""
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def server_url(server):
    """The URL of a new database on each of the servers."""
    with databases.fresh(server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def any_database(request, new_project):
    """A fresh bare project on each of the three databases in turn."""
    if request.param == "sqlite":
        yield new_project(starter="bare")
        return
    kind = {"postgresql": "postgresql", "mariadb": "mysql"}[request.param]
    with databases.fresh(request.getfixturevalue(f"{request.param}_server")) as url:
        project = new_project(starter="bare", database=kind)
        project.env["DEV_DATABASE_URL"] = url
        yield project


@pytest.fixture
def url(any_database):
    """The URL of the project's database."""
    return any_database.env.get("DEV_DATABASE_URL", f"sqlite:///{any_database.database}")


@pytest.fixture
def twin(request, url, tmp_path):
    """The URL of an empty database beside the project's."""
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        if not shutil.which("sqlite3"):
            databases.missing("no sqlite3 program: apt-get install sqlite3")
        yield f"sqlite:///{tmp_path / 'twin.db'}"
        return
    name = {"postgresql": "postgresql", "mysql": "mariadb"}[backend]
    with databases.fresh(request.getfixturevalue(f"{name}_server")) as made:
        yield made


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A real browser, without a screen."""
    with serving.chromium(tmp_path_factory.mktemp("browser")) as window:
        yield window
