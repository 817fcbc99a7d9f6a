"""What a migration says about a finding: ``# lint: drop-column because nobody reads it``."""

import re
import tokenize
from io import StringIO

COMMENT = re.compile(r"#\s*lint:\s*(?P<rules>[\w\-, ]+?)\s+because\s+(?P<reason>\S.*)")
BARE = re.compile(r"#\s*lint:\s*(?P<rules>[\w\-, ]+)\s*$")


def reasons(source: str) -> dict[str, str]:
    """Return the reason for each rule that the file silences.

    :param source: the text of the migration
    """
    found: dict[str, str] = {}
    for comment in _comments(source):
        match = COMMENT.match(comment)
        if match:
            for rule in re.split(r"[,\s]+", match["rules"].strip()):
                found[rule] = match["reason"].strip()
    return found


def without_reason(source: str) -> list[str]:
    """Return the rules that the file would silence, had it given a reason."""
    return [
        match["rules"].strip() for comment in _comments(source) if (match := BARE.match(comment))
    ]


def _comments(source: str) -> list[str]:
    try:
        tokens = list(tokenize.generate_tokens(StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    return [token.string for token in tokens if token.type == tokenize.COMMENT]
