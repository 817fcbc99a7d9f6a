"""A blog's posts: create them, add a slug, go back, go forward, deploy twice."""

import pytest
from serving import free_port, get, gunicorn, served

from .rows import columns, sql

POST = (
    "id: Mapped[int] = mapped_column(primary_key=True)\n"
    "title: Mapped[str | None] = mapped_column(sa.String(50))\n"
    "content: Mapped[str | None] = mapped_column(sa.Text)\n"
)
SLUG = "slug: Mapped[str | None] = mapped_column(sa.String(50))\n"


@pytest.fixture
def posts(bare):
    """The project with its first migration applied and one post."""
    bare.model("post", POST)
    bare.first = bare.new_migration()
    bare.db("upgrade").assert_ok()
    sql(bare.database, "INSERT INTO post (title, content) VALUES ('Hello', 'world')")
    return bare


def version(project):
    return sql(project.database, "SELECT version_num FROM alembic_version")


def test_the_file_says_what_it_does_though_nobody_named_it(posts):
    assert posts.first.name.endswith("_create_post.py")
    assert version(posts) == [(posts.first.name.split("_")[0],)]


def test_a_slug_is_added_taken_back_and_added_again(posts):
    posts.model("post", POST + SLUG)
    file = posts.new_migration()
    assert file.name.endswith("_add_slug_to_post.py")
    first, second = (path.name.split("_")[0] for path in (posts.first, file))
    assert f"Revises: {first}\n" in file.read_text()

    for _ in range(2):
        posts.db("upgrade").assert_ok()
        assert version(posts) == [(second,)]
        assert sql(posts.database, "SELECT * FROM post") == [(1, "Hello", "world", None)]
        posts.db("downgrade").assert_ok()
        assert version(posts) == [(first,)]
        assert sql(posts.database, "SELECT * FROM post") == [(1, "Hello", "world")]

    posts.db("upgrade", second).assert_ok()
    posts.db("downgrade", first).assert_ok()
    assert columns(posts.database, "post") == ["id", "title", "content"]


def test_an_empty_revision_is_for_writing_by_hand(posts):
    posts.db("revision", "-m", "say hello to everybody").assert_ok()
    (file,) = posts.versions.glob("*_say_hello_to_everybody.py")
    text = file.read_text()
    file.write_text(text.replace("pass", "op.execute(\"UPDATE post SET title = 'Hi'\")", 1))
    posts.db("upgrade").assert_ok()
    assert sql(posts.database, "SELECT title FROM post") == [("Hi",)]


def test_a_deployment_may_run_the_migrations_at_each_start(posts, tmp_path):
    """The script of a container: upgrade, then serve."""
    env = {
        "SETTINGS": "prod.conf",
        "DATABASE_URL": f"sqlite:///{tmp_path}/prod.db",
        "SECRET_KEY": "k" * 40,
    }
    for said in ("creating", "nothing to do"):
        assert said in posts.db("upgrade", **env).assert_ok().err
    port = free_port()
    command = gunicorn(posts, "--bind", f"127.0.0.1:{port}")
    with served(command, posts.path, posts.environment(**env), port) as url:
        assert get(f"{url}/readyz") == (200, '{"database":"ok","schema":"at head"}\n')
