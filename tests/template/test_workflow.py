"""What GitHub does with a generated project: the workflow, Dependabot, and what pre-commit is told."""

import os
import re
import subprocess
import sys
from pathlib import Path

import databases
import projects
import pytest
from installed import PATIENCE, with_uv
from ruamel.yaml import YAML

KINDS = ["sqlite", "postgresql", "mysql"]
SCHEMAS = {
    ".github/workflows/ci.yml": "vendor.github-workflows",
    ".github/dependabot.yml": "vendor.dependabot",
}
# what GitHub would put there for a pull request to main
EXPRESSIONS = {
    "github.base_ref || github.event.repository.default_branch": "main",
    "hashFiles('uv.lock') != ''": "true",
    "!cancelled() && github.event_name == 'pull_request'": "true",
}


# how this machine reaches a package index, and what it has fetched before
CACHES = ("HOME", "UV_", "PIP_", "SSL_", "HTTP", "NO_PROXY", "http", "no_proxy")


def read(project, name):
    return YAML(typ="safe").load((project.path / name).read_text())


def filled(value):
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: EXPRESSIONS[found[1]], value)


@pytest.mark.parametrize("kind", KINDS)
def test_each_file_is_as_github_documents_it(kind, generated):
    project = generated(database=kind)
    for file, schema in SCHEMAS.items():
        command = sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, file
        project.run(*command).assert_ok()


@pytest.mark.parametrize("kind", KINDS)
def test_the_workflow_may_only_read_and_has_the_chosen_database(kind, generated):
    project = generated(database=kind)
    workflow = read(project, ".github/workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    url = job.get("env", {}).get("DEV_DATABASE_URL", "sqlite")
    assert url.startswith(kind)
    images = [service["image"] for service in job.get("services", {}).values()]
    composed = read(project, "compose.yaml")["services"].values()
    assert images == [one["image"] for one in composed if "image" in one], "the same as in compose"
    assert len(images) == (kind != "sqlite")


def test_each_action_is_pinned_by_its_commit_and_says_its_version(generated):
    text = (generated().path / ".github/workflows/ci.yml").read_text()
    used = re.findall(r"^ +- uses: (.*)$", text, re.MULTILINE)
    assert used and all(
        re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in used
    )


def test_pre_commit_runs_ruff_at_a_version_and_the_quick_check(generated):
    project = generated()
    ruff, local = read(project, ".pre-commit-config.yaml")["repos"]
    assert re.fullmatch(r"v\d+\.\d+\.\d+", ruff["rev"])
    (hook,) = local["hooks"]
    command = hook["entry"].removeprefix(".venv/bin/").split()
    assert project.warm(*project.manage, *command).assert_ok()
    changed = [str(path.relative_to(project.path)) for path in project.versions.glob("*.py")]
    assert all(re.search(hook["files"], name) for name in changed)


@pytest.fixture
def merged(new_project, request, tmp_path):
    """A checkout as GitHub's action makes it of a pull request: the merged tree, and no branch of its own."""
    kind = request.param
    project = new_project(database=kind)
    project.run("uv", "lock", "--quiet", timeout=PATIENCE).assert_ok()
    project.remember()
    project.git("checkout", "--quiet", "-b", "work")
    post = project.package / "models" / "post.py"
    added = "    subtitle: Mapped[str | None] = mapped_column(String(100))\n"
    post.write_text(post.read_text().replace("    author:", f"{added}    author:"))
    if kind == "sqlite":
        project.new_migration()
    else:
        pytest.importorskip("psycopg" if kind == "postgresql" else "pymysql")
        with databases.fresh(request.getfixturevalue(SERVERS[kind])) as url:
            project.new_migration(DEV_DATABASE_URL=url)
    project.remember("add subtitle")
    project.git("checkout", "--quiet", "-b", "merged", "main")
    project.git("merge", "--quiet", "--no-ff", "--message", "merge", "work")
    checkout = projects.Project(tmp_path / "checkout", project.module)
    checkout.path.mkdir()
    checkout.git("init", "--quiet")
    checkout.git("remote", "add", "origin", str(project.path))
    checkout.git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
    checkout.git("checkout", "--quiet", "--detach", "origin/merged")
    return checkout, kind


SERVERS = {"postgresql": "postgresql_server", "mysql": "mariadb_server"}


@pytest.mark.long
@pytest.mark.parametrize(
    "merged",
    [pytest.param(kind, marks=pytest.mark.drill) for kind in ("sqlite", *SERVERS)],
    indirect=True,
)
def test_the_commands_of_the_workflow_pass_one_after_the_other(merged, request, tmp_path):
    checkout, kind = merged
    if kind == "sqlite":
        run_workflow(checkout, tmp_path, {})
        return
    with databases.fresh(request.getfixturevalue(SERVERS[kind])) as url:
        run_workflow(checkout, tmp_path, {"DEV_DATABASE_URL": url})


def run_workflow(checkout, folder, environment):
    """Run each `run:` as GitHub does, with nothing of this environment but its caches."""
    summary = folder / "summary.md"
    kept = {key: os.environ[key] for key in os.environ if key.startswith(CACHES)}
    kept |= {"PATH": with_uv(), "CI": "true", "GITHUB_STEP_SUMMARY": str(summary), **environment}
    (job,) = read(checkout, ".github/workflows/ci.yml")["jobs"].values()
    commands = [step for step in job["steps"] if "run" in step]
    assert len(commands) == 4
    for step in commands:
        assert filled(step.get("if", "true")) == "true"
        env = kept | {key: filled(value) for key, value in step.get("env", {}).items()}
        script = folder / "step.sh"
        script.write_text(filled(step["run"]))
        command = "bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)
        ran = subprocess.run(
            command, cwd=checkout.path, env=env, capture_output=True, text=True, timeout=PATIENCE
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    said = Path(summary).read_text()
    assert "1 new migration since origin/main" in said
    assert "| add subtitle to post |" in said and "subtitle" in said.partition("```sql")[2]
    assert "1 migrations linted and proved" in checkout.run(".venv/bin/db", "check", **kept).err
    assert checkout.git("status", "--porcelain").out == "", "nothing was written that git sees"
