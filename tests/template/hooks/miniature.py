"""A miniature of the template: the real questions, checks and hooks around a small tree."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from warm import WARM

from keel_answers.origin import LINKS

ROOT = Path(__file__).resolve().parents[3]
COOKIECUTTER = Path(sys.executable).with_name("cookiecutter")

PROJECT = "<<cookiecutter.project>>"
MODULE = "<<cookiecutter.module>>"
UNRENDERED = "1 << 4, <% if %>, <# {{ }}\n"

FILES = {
    "Makefile.template": "# <<cookiecutter.project>>\nhelp:\n\t@echo << cookiecutter.module >>\n",
    **{
        f"etc/conf/{name}.conf": f"# {name} of <<cookiecutter.project>>, a configuration\n"
        for name in ("dev", "test", "prod")
    },
    f"{PROJECT}/.cookiecutter.json": (
        '{"answers": <<answers()|as_json>>, "commit": <<template_commit()|quoted>>}\n'
    ),
    f"{PROJECT}/about.toml": (
        "description = <<cookiecutter.description|quoted>>\n"
        "author = <<cookiecutter.author|quoted>>\n"
        "email = <<cookiecutter.email|quoted>>\n"
    ),
    f"{PROJECT}/README.md": "<<cookiecutter.description>>",
    f"{PROJECT}/LICENSE": "<<cookiecutter.license>>\n",
    f"{PROJECT}/bin/manage.py": "#!/usr/bin/env python3\n",
    f"{PROJECT}/tests/test_blog.py": "",
    f"{PROJECT}/tests/test_app.py": "",
    f"{PROJECT}/{MODULE}/__init__.py": (
        "description = <<cookiecutter.description|quoted>>\n"
        "author = <<cookiecutter.author|quoted>>\n"
        "email = <<cookiecutter.email|quoted>>\n"
    ),
    f"{PROJECT}/{MODULE}/blog.py": "",
    f"{PROJECT}/{MODULE}/forms.py": "",
    f"{PROJECT}/{MODULE}/templates/index.html": "",
    f"{PROJECT}/{MODULE}/templates/field.html": "",
    **{f"{PROJECT}/{MODULE}/{name}.py": "" for name in ("accounts", "admin", "users")},
    f"{PROJECT}/{MODULE}/static/accounts.css": "",
    f"{PROJECT}/{MODULE}/static/admin.js": "",
    f"{PROJECT}/{MODULE}/templates/admin/index.html": "",
    f"{PROJECT}/{MODULE}/templates/admin/model/list.html": "",
    f"{PROJECT}/{MODULE}/templates/security/base.html": "",
    **{
        f"{PROJECT}/{MODULE}/migrations/versions/{name}.py": ""
        for name in (
            "3f8a1c52d7e0_create_user_and_post",
            "8b27e4a9c610_add_summary_and_published_at_to_post",
            "4c9d02e7ab15_create_user_and_role",
            "9e51d7c3f048_add_login_to_user",
        )
    },
    f"{PROJECT}/tests/test_accounts.py": "",
    f"{PROJECT}/{MODULE}/migrations/schema/sqlite.sql": "",
    f"{PROJECT}/{MODULE}/migrations/schema/postgresql.sql": "",
    f"{PROJECT}/{MODULE}/migrations/schema/mysql.sql": "",
    f"{PROJECT}/{MODULE}/seed.py": "",
    f"{PROJECT}/{MODULE}/models/__init__.py": "",
    f"{PROJECT}/{MODULE}/models/user.py": "whose = 'the template'\n",
    f"{PROJECT}/{MODULE}/models/post.py": "whose = 'the template'\n",
    f"{PROJECT}/{MODULE}/templates/base.html": "{{ title }}\n",
    f"{PROJECT}/{MODULE}/templates/blog/index.html": "{% block x %}{% endblock %}\n",
    f"{PROJECT}/{MODULE}/migrations/env.py": "",
    **{
        f"{PROJECT}/{MODULE}/migrations/schema/{database}.sql": "CREATE TABLE post ();\n"
        for database in ("sqlite", "postgresql", "mysql")
    },
    f"{PROJECT}/{MODULE}/migrations/versions/.gitkeep": "",
    f"{PROJECT}/{MODULE}/migrations/versions/0001_create.py": "",
    "pyproject.toml": (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
    "src/flask_keel/VERSION": "1.2.3\n",
    "src/flask_keel/LICENSE": "Yours.\n",
    "src/flask_keel/README.md": "# flask-keel\n",
    "src/flask_keel/__init__.py": UNRENDERED,
    "src/flask_keel/deep/rows.py": UNRENDERED,
}


def build_template(place):
    """Write the miniature into a new folder, links included."""
    place.mkdir(parents=True)
    shutil.copy(ROOT / "cookiecutter.json", place)
    for folder in ("hooks", "keel_answers"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    for link, target in LINKS.items():
        (place / PROJECT / link).parent.mkdir(parents=True, exist_ok=True)
        (place / PROJECT / link).symlink_to(target)
    return place


class Bakery:
    """The cookiecutter command with a home and an output folder of its own."""

    def __init__(self, place):
        self.home = place / "home"
        self.output = place / "out"
        self.home.mkdir()
        self.output.mkdir()

    def bake(self, template, *arguments, typed=None, environment=(), cwd=None):
        kept = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
        cwd = cwd or self.output
        env = {
            **kept,
            "HOME": str(self.home),
            "PWD": str(cwd),
            "LANG": "C.UTF-8",
            # nobody's identity, and none is asked for
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **dict(environment),
        }
        plain = all(isinstance(one, str) for one in arguments)
        if plain and typed is None and not environment:
            command = [sys.executable, "-m", "cookiecutter", str(template), *arguments]
            code, out, err = WARM.run(command, cwd, env, timeout=60)
            return subprocess.CompletedProcess(command, code, out + err)
        return subprocess.run(
            [COOKIECUTTER, template, *arguments],
            cwd=cwd,
            env=env,
            input=typed,
            stdin=subprocess.DEVNULL if typed is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=60,
        )

    def generate(self, template, *arguments, **options):
        """Bake without questions and expect a project."""
        baked = self.bake(template, "--no-input", *arguments, **options)
        assert baked.returncode == 0, baked.stdout
        return baked.stdout

    def refuse(self, template, *arguments, **options):
        """Bake and expect sentences: nothing on disk, exit code 1, no traceback."""
        before = sorted(self.output.rglob("*"))
        baked = self.bake(template, *arguments, **options)
        assert baked.returncode == 1, baked.stdout
        assert "Traceback" not in baked.stdout
        assert sorted(self.output.rglob("*")) == before
        return baked.stdout

    @property
    def replay_folder(self):
        return self.home / ".cookiecutter_replay"


def commit_all(folder):
    """Make a git repository of a folder, with an identity that only this commit has."""
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "All of it"]):
        subprocess.run(["git", "-C", folder, *command], check=True)
    head = subprocess.run(
        ["git", "-C", folder, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    return head.stdout.strip()
