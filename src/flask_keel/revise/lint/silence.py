"""What a migration says about a finding: ``# lint: drop-column because nobody reads it``."""

import re
import tokenize
from io import StringIO

COMMENT = re.compile(r"#\s*lint:\s*(?P<rules>[\w\-, ]+?)\s+because\s+(?P<reason>\S.*)")
BARE = re.compile(r"#\s*lint:\s*(?P<rules>[\w\-, ]*?)(\s+because)?\s*$")
# who says why a column goes has said it of one that may have been renamed, too
INCLUDED = {"drop-and-add": "drop-column", "drop-and-compute": "drop-column"}


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
