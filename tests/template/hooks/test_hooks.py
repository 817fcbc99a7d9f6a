"""The two hooks, as modules and as cookiecutter runs them."""

import importlib.util
import os
import stat
import subprocess
import sys

import pytest
from jinja2 import Environment

from .miniature import ROOT, commit_all


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


post_gen = load("post_gen_project")
pre_gen = load("pre_gen_project")


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def run_again(project, template, module, folders=""):
    """Run post_gen as cookiecutter does: rendered, in the project's folder."""
    text = (ROOT / "hooks/post_gen_project.py").read_text(encoding="utf-8")
    for mark, value in {
        "<<cookiecutter.module>>": module,
        "<<cookiecutter.database>>": "sqlite",
        "<<empty_folders()|join(':')>>": folders,
        "<<template_folder()>>": str(template),
    }.items():
        assert mark in text
        text = text.replace(mark, value)
    hook = project.parent / "hook.py"
    hook.write_text(text, encoding="utf-8")
    return subprocess.run([sys.executable, hook], cwd=project, check=True, capture_output=True)


BLOG = {"blog.py", "models/user.py", "models/post.py", "templates/blog/index.html",
        "migrations/versions/0001_create.py"}  # fmt: skip


def test_the_blog_has_all_of_it(template, bakery):
    bakery.generate(template)
    assert all((bakery.output / "my-app/my_app" / name).is_file() for name in BLOG)
    assert (bakery.output / "my-app/tests/test_blog.py").is_file()


def test_a_bare_project_has_no_model_page_or_migration(template, bakery):
    bakery.generate(template, "starter=bare")
    project = bakery.output / "my-app"
    files = {str(path.relative_to(project)) for path in project.rglob("*")}
    assert not {f"my_app/{name}" for name in BLOG} & files
    assert not {"tests/test_blog.py", "my_app/templates/blog"} & files
    assert {"my_app/seed.py", "my_app/models/__init__.py", "my_app/migrations/versions/.gitkeep",
            "my_app/templates/base.html", "tests/test_app.py"} <= files  # fmt: skip


@pytest.mark.parametrize(("license", "there"), [("none", False), ("MIT", True)])
def test_no_licence_means_no_licence_file(template, bakery, license, there):
    bakery.generate(template, f"license={license}")
    assert (bakery.output / "my-app/LICENSE").exists() is there


@pytest.mark.some(1)
@pytest.mark.parametrize("over", ["-f", "-fs"])
def test_generating_again_leaves_the_owners_own_files_alone(template, bakery, over):
    bakery.generate(template, "starter=bare", "license=none")
    project = bakery.output / "my-app"
    for name in ("my_app/models/user.py", "my_app/templates/blog/mine.html", "LICENSE"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("mine")
    before = tree(project)
    bakery.generate(template, over, "starter=bare", "license=none")
    assert tree(project) == before


def test_post_gen_leaves_var_empty_and_manage_py_executable(template, bakery):
    (template / "<<cookiecutter.project>>/bin/manage.py").chmod(0o640)
    bakery.generate(template)
    project = bakery.output / "my-app"
    assert list((project / "var").iterdir()) == []
    assert stat.S_IMODE((project / "bin/manage.py").stat().st_mode) == 0o750


def test_bytecode_of_a_tested_template_stays_behind(template, bakery):
    for folder in ("versions/__pycache__", "__pycache__"):
        place = template / "<<cookiecutter.project>>/<<cookiecutter.module>>/migrations" / folder
        place.mkdir()
        (place / "x.cpython-311.pyc").write_bytes(b"\0\1")
    bakery.generate(template)
    assert not list((bakery.output / "my-app").rglob("__pycache__"))


def test_post_gen_run_twice_changes_nothing_more(template, bakery):
    bakery.generate(template, "starter=bare")
    project = bakery.output / "my-app"
    before = tree(project)
    for _ in range(2):
        said = run_again(project, template, "my_app", "my_app/templates/blog").stdout.decode()
        assert "make db" in said
        assert tree(project) == before


def test_post_gen_changes_nothing_of_the_repository_around_it(template, bakery):
    (bakery.output / "notes.txt").write_text("mine")
    head = commit_all(bakery.output)
    git = tree(bakery.output / ".git")
    bakery.generate(template)
    assert tree(bakery.output / ".git") == git
    assert {path.name for path in bakery.output.iterdir()} == {".git", "notes.txt", "my-app"}
    assert not (bakery.output / "my-app/.git").exists()
    ref = subprocess.run(
        ["git", "-C", bakery.output, "rev-parse", "HEAD"], capture_output=True, text=True
    )
    assert ref.stdout.strip() == head


def test_post_gen_needs_nothing_but_a_python(template, bakery):
    """No git, no network tool, no package: an empty PATH and an isolated interpreter."""
    bakery.generate(template)
    project = bakery.output / "my-app"
    run_again(project, template, "my_app")
    bare = {"PATH": "", "HOME": "/nonexistent"}
    hook = [sys.executable, "-I", "-S", project.parent / "hook.py"]
    subprocess.run(hook, cwd=project, env=bare, check=True, capture_output=True)


def test_a_project_is_kept_when_nobody_reads_what_is_next(template, bakery):
    reader, writer = os.pipe()
    os.close(reader)
    bakery.generate(template)
    project = bakery.output / "my-app"
    run_again(project, template, "my_app")
    hook = subprocess.run([sys.executable, project.parent / "hook.py"], cwd=project, stdout=writer)
    os.close(writer)
    assert hook.returncode == 0


def test_the_next_steps_are_printed_after_generating(template, bakery):
    said = bakery.generate(template, "database=mysql", "project=shop")
    assert said.splitlines()[0] == "shop is ready. Next:"
    typed = [line.split("#")[0].strip() for line in said.splitlines() if line.startswith("  ")]
    assert typed == [
        "cd shop",
        "export DEV_DATABASE_URL=mysql://USER:PASSWORD@localhost/shop",
        "make db",
        "make server",
        "make newmigration",
        'git init && git add . && git commit -m "As generated"',
    ]


def test_no_repository_is_offered_within_another(tmp_path):
    (tmp_path / ".git").mkdir()
    assert "git init" not in post_gen.next_steps(tmp_path / "apps" / "my-app", "my_app", "sqlite")


def test_the_path_is_whole_when_the_shell_is_elsewhere(tmp_path):
    project = tmp_path / "it's a $HOME" / "my-app"
    project.mkdir(parents=True)
    said = post_gen.next_steps(project, "my_app", "sqlite", str(tmp_path))
    line = next(line for line in said.splitlines() if line.strip().startswith("cd "))
    there = subprocess.run(["sh", "-c", f"{line} && pwd"], capture_output=True, text=True)
    assert there.stdout == f"{project}\n"


def test_a_folder_with_somebodys_file_in_it_stays(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").touch()
    (tmp_path / "empty").mkdir()
    post_gen.tidy(tmp_path, "my_app", ["full", "empty", "missing"])
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_pre_gen_passes_when_the_answers_were_checked():
    assert pre_gen.main("yes") == 0


def test_pre_gen_stops_with_a_sentence_when_they_were_not(capsys):
    text = (ROOT / "hooks/pre_gen_project.py").read_text(encoding="utf-8")
    environment = Environment(variable_start_string="<<", variable_end_string=">>")
    rendered = environment.from_string(text).render(cookiecutter={})
    names = {"__name__": "hook"}
    exec(compile(rendered, "hook", "exec"), names)
    assert names["main"](names["CHECKED"]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "without --replay" in said
