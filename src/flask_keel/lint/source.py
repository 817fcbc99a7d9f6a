"""What is seen in the text of a migration, by its silences, and by squawk in the SQL of PostgreSQL."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from .findings import BLOCKS, LOCKS, NOTE, RULES, Finding

COMMENT = re.compile(r"#\s*lint:\s*(?P<rules>[\w\-, ]+?)\s+because\s+(?P<reason>\S.*)")
BARE = re.compile(r"#\s*lint:\s*(?P<rules>[\w\-, ]*?)(\s+because)?\s*$")
# who says why a column goes has said it of one that may have been renamed, too
INCLUDED = {"drop-and-add": "drop-column", "drop-and-compute": "drop-column"}


def text(path: Path) -> str:
    """Return the text of a migration, which may say its own encoding."""
    with tokenize.open(path) as file:
        return file.read()


def reasons(source: str) -> dict[str, str]:
    """Return the reason for each rule that the file silences.

    :param source: the text of the migration
    """
    found: dict[str, str] = {}
    for _, comment in comments(source):
        match = COMMENT.match(comment)
        if match:
            for rule in re.split(r"[,\s]+", match["rules"].strip(" ,")):
                found[rule] = match["reason"].strip()
    return found


def reason(rule: str, given: dict[str, str]) -> str | None:
    """Return the reason that silences a rule, or None."""
    return given.get(rule, given.get(INCLUDED.get(rule, "")))


def without_reason(source: str) -> list[tuple[int, str]]:
    """Return line and name of the rules that the file would silence, had it given a reason."""
    return [
        (line, match["rules"].strip() or "RULE")
        for line, comment in comments(source)
        if not COMMENT.match(comment) and (match := BARE.match(comment))
    ]


def comments(source: str) -> list[tuple[int, str]]:
    """Return the comments of a Python text with their lines."""
    try:
        tokens = list(tokenize.generate_tokens(StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


# PostgreSQL's SQL, judged by squawk (https://squawkhq.com), where its program is installed.


# what our own rules say in the words of this project, what env.py sees to, what PostgreSQL refuses,
# and what is a matter of style
OURS = [
    "adding-foreign-key-constraint",
    "adding-not-nullable-field",
    "adding-required-field",
    "adding-serial-primary-key-field",
    "ban-concurrent-index-creation-in-transaction",
    "ban-drop-column",
    "ban-drop-constraint",
    "ban-drop-database",
    "ban-drop-not-null",
    "ban-drop-schema",
    "ban-drop-table",
    "ban-truncate-cascade",
    "ban-uncommitted-transaction",
    "changing-column-type",
    "disallowed-unique-constraint",
    "identifier-too-long",
    "renaming-column",
    "renaming-object",
    "renaming-table",
    "require-lock-timeout",
    "require-statement-timeout",
    "require-timeout-settings",
    "transaction-nesting",
    "adding-field-with-default",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "prefer-timestamptz",
    "require-table-schema",
]
SEVERITIES = {
    "require-concurrent-index-creation": LOCKS,
    "require-concurrent-index-deletion": LOCKS,
    "require-concurrent-partition-detach": LOCKS,
    "require-concurrent-reindex": LOCKS,
    "require-concurrent-refresh-materialized-view": LOCKS,
    "constraint-missing-not-valid": LOCKS,
    "ban-create-domain-with-constraint": LOCKS,
    "ban-alter-domain-with-add-constraint": LOCKS,
    "prefer-repack": LOCKS,
    "ban-drop-default": BLOCKS,
    "ban-drop-domain": BLOCKS,
    "ban-drop-function": BLOCKS,
    "ban-drop-sequence": BLOCKS,
    "ban-drop-type": BLOCKS,
    "ban-drop-view": BLOCKS,
}
INDEX = "with op.get_context().autocommit_block(): op.{function}"
INSTEAD = {
    "require-concurrent-index-creation": INDEX.format(
        function="create_index(..., postgresql_concurrently=True, if_not_exists=True)"
    ),
    "require-concurrent-index-deletion": INDEX.format(
        function="drop_index(..., postgresql_concurrently=True, if_exists=True)"
    ),
}


def program() -> str | None:
    """Return the path of squawk, which its wheel puts beside Python."""
    beside = Path(sys.executable).with_name("squawk")
    return str(beside) if beside.exists() else shutil.which("squawk")


def squawk_findings(sql: list[tuple[int, str]]) -> list[Finding]:
    """Return what squawk says of one migration's SQL; nothing where it is not installed.

    :param sql: its statements, each with the line of the migration that ran it
    """
    squawk = program()
    # it reads no parameters of the driver, and rows are not its business
    schema = [(line, one.strip()) for line, one in sql if "%(" not in one and one.strip()]
    if squawk is None or not schema:
        return []
    lines = [line for line, one in schema for _ in f"{one};".splitlines()]
    statements = [one for _, one in schema for _ in f"{one};".splitlines()]
    command = [squawk, "--reporter", "json", "--assume-in-transaction"]
    command += [f"--exclude={rule}" for rule in OURS]
    text = "".join(f"{one};\n" for _, one in schema)
    ran = subprocess.run(command, input=text, capture_output=True, text=True)
    try:
        reported = json.loads(ran.stdout or "[]")
    except json.JSONDecodeError:
        return []
    found = {}
    for violation in reported:
        rule, place = violation["rule_name"], violation["line"]
        # a new constraint is spoken of by our rules; one that is validated at once is not
        if rule == "constraint-missing-not-valid" and "VALIDATE" not in statements[place].upper():
            continue
        if rule == "syntax-error":
            continue
        facts = {
            "what": " ".join(violation["message"].split()).rstrip("."),
            "instead": INSTEAD.get(rule) or " ".join((violation.get("help") or "").split()),
        }
        finding = Finding(rule, SEVERITIES.get(rule, NOTE), lines[place], facts, "postgresql")
        found[rule, lines[place], facts["what"]] = finding
    return list(found.values())


def text_findings(text: str) -> list[Finding]:
    """Return the findings that a migration's text gives.

    :param text: Python that runs
    """
    found = []
    for line, module in _modules(ast.parse(text)):
        # where it is a folder of the application or a part of one: my_app.models, .models.post
        if "models" in module.split("."):
            found.append(("models-imported", line, {"module": module.lstrip(".")}))
    for line, rule in without_reason(text):
        found.append(("no-reason", line, {"silenced": rule}))
    return [Finding(rule, RULES[rule].severity, line, facts) for rule, line, facts in found]


def _modules(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if "models" in module.split("."):
                yield node.lineno, module
                continue
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"
