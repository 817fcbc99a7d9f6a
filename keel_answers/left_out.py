"""Which files an answer leaves out of the project.

They are never written, rather than deleted afterwards: a project that is generated again over
itself may have a file of its own under the same name, and that one is not the template's.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch

# what one starter has and the others have not
BLOG = (
    "<<cookiecutter.module>>/blog.py",
    "<<cookiecutter.module>>/forms.py",
    "<<cookiecutter.module>>/models/post.py",
    "<<cookiecutter.module>>/templates/blog/",
    "<<cookiecutter.module>>/migrations/versions/3f8a1c52d7e0_create_user_and_post.py",
    "<<cookiecutter.module>>/migrations/versions/8b27e4a9c610_add_summary_and_published_at_to_post.py",
    "tests/test_blog.py",
)
ACCOUNTS = (
    "<<cookiecutter.module>>/accounts.py",
    "<<cookiecutter.module>>/admin.py",
    "<<cookiecutter.module>>/users.py",
    "<<cookiecutter.module>>/static/accounts.css",
    "<<cookiecutter.module>>/static/admin.js",
    "<<cookiecutter.module>>/templates/admin/model/",
    "<<cookiecutter.module>>/templates/admin/",
    "<<cookiecutter.module>>/templates/security/",
    "<<cookiecutter.module>>/migrations/versions/4c9d02e7ab15_create_user_and_role.py",
    "<<cookiecutter.module>>/migrations/versions/9e51d7c3f048_add_login_to_user.py",
    "tests/test_accounts.py",
)

# (question, answer) -> paths as they are called in the template; a / at the end is a whole folder
LEFT_OUT = {
    ("license", "none"): ("LICENSE",),
    ("database", "sqlite"): (
        "<<cookiecutter.module>>/migrations/schema/postgresql.sql",
        "<<cookiecutter.module>>/migrations/schema/mysql.sql",
    ),
    ("database", "postgresql"): (
        "<<cookiecutter.module>>/migrations/schema/sqlite.sql",
        "<<cookiecutter.module>>/migrations/schema/mysql.sql",
    ),
    ("database", "mysql"): (
        "<<cookiecutter.module>>/migrations/schema/sqlite.sql",
        "<<cookiecutter.module>>/migrations/schema/postgresql.sql",
    ),
    ("starter", "blog"): ("<<cookiecutter.module>>/templates/index.html", *ACCOUNTS),
    ("starter", "accounts"): BLOG,
    ("starter", "bare"): (
        *BLOG,
        *ACCOUNTS,
        "<<cookiecutter.module>>/models/user.py",
        "<<cookiecutter.module>>/templates/field.html",
        "<<cookiecutter.module>>/migrations/schema/",
        "<<cookiecutter.module>>/migrations/versions/*.py",
    ),
}


def when_wanted(path: str) -> str:
    """Wrap a file's name so that it renders to nothing where an answer leaves the file out.

    cookiecutter skips a file whose name renders to nothing (`generate_file` in its generate.py).

    :param path: the path in the template, from the project's folder on
    """
    unless = [
        f"cookiecutter.{question} != '{answer}'"
        for (question, answer), patterns in LEFT_OUT.items()
        if any(_matches(path, pattern) for pattern in patterns)
    ]
    return f"<% if {' and '.join(unless)} %>{path}<% endif %>" if unless else path


def empty_folders(answers: Mapping[str, str]) -> list[str]:
    """The folders that these answers leave without a file, as they are called in the project."""
    return [
        pattern.replace("<<cookiecutter.module>>", answers["module"]).rstrip("/")
        for (question, answer), patterns in LEFT_OUT.items()
        for pattern in patterns
        if answers[question] == answer and pattern.endswith("/")
    ]


def _matches(path: str, pattern: str) -> bool:
    return path.startswith(pattern) if pattern.endswith("/") else fnmatch(path, pattern)
