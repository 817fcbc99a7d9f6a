"""Each rule, by what its first line says of an unsafe migration, and silent about a safe one."""

import pytest

from flask_keel.lint import findings as lint_findings
from flask_keel.lint import source

from . import linting
from .cases import CASES


def each(*names):
    """The cases for some databases, each of which begins with another one, under readable names."""
    return [
        pytest.param(case, name, id=f"{name}-{case.rule}-{number}")
        for number, case in enumerate(CASES)
        for name in names[number % len(names) :] + names[: number % len(names)]
        if name in case.on
    ]


@pytest.fixture(scope="module")
def urls(request):
    """The URL of a database of each kind; a server is started when it is first asked for."""

    def url(name):
        if name == "sqlite":
            return "sqlite://"
        server = request.getfixturevalue(f"{name}_server")
        return server.replace("/?", "/mysql?") if name == "mariadb" else server

    return url


@pytest.mark.one_of_each
@pytest.mark.parametrize(("case", "name"), each("sqlite", "postgresql", "mariadb"))
def test_a_rule_says_what_is_unsafe_and_is_silent_about_what_is_safe(case, name, urls, tmp_path):
    url = urls(name)
    said = linting.said(tmp_path / "unsafe", case.unsafe, url)
    assert case.says in said
    safe = linting.judge(tmp_path / "safe", case.safe, url)
    assert case.rule not in {finding.rule for finding in safe}


@pytest.mark.parametrize(
    ("case", "name"),
    [
        pytest.param(case, name, id=f"{name}-{case.rule}-{number}")
        for number, case in enumerate(CASES)
        for name in case.not_on
    ],
)
def test_a_rule_is_silent_where_the_database_does_no_harm(case, name, urls, tmp_path):
    findings = linting.judge(tmp_path, case.unsafe, urls(name))
    assert case.rule not in {finding.rule for finding in findings}


def test_every_rule_has_an_unsafe_and_a_safe_example():
    elsewhere = {"models-imported", "not-judged"}
    assert set(lint_findings.RULES) - elsewhere <= {case.rule for case in CASES}


@pytest.mark.parametrize(
    "imports",
    [
        "from my_app.models.post import Post",
        "from my_app.models import Post",
        "from my_app import models",
        "import my_app.models",
        "from ...models import Post",
    ],
)
def test_models_imported_by_a_migration_are_noted(imports):
    (finding,) = source.text_findings(f"import sqlalchemy\n\n\ndef upgrade():\n    {imports}\n")
    module = {"import my_app.models": "my_app.models", "from my_app import models": "my_app.models"}
    name = module.get(imports, imports.split()[1].lstrip("."))
    assert finding.first == f"line 5: imports the models ({name}) [models-imported, note]"


def test_a_type_of_the_application_may_be_imported():
    assert source.text_findings("from my_app.types import Colour\nimport remodels\n") == []
