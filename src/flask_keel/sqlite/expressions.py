"""Which names an expression uses, told apart from its keywords, functions and strings."""

from collections.abc import Iterator

from .tokens import RESERVED, Token, fold, in_style, same, tokenize, words

# after an operand these words leave the operand complete; every other word is an operator
_POSTFIX = words("ISNULL NOTNULL END ASC DESC NULLS FIRST LAST")
_LITERALS = words("NULL CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP")


def identifiers(expression: str) -> set[str]:
    """The names in an expression that can be columns, unquoted, their case as written.

    Strings, functions, keywords, collations, the types of a CAST and the tables that qualify a
    name are left out. A double-quoted word counts: it is a column where a column has its name.

    :param expression: the text of a CHECK, of a generated column, of an index's column, of a WHERE
    :raises Unreadable: for a quote that is never closed
    """
    return {column.name for column, _ in column_tokens(expression)}


def rename_identifier(expression: str, old: str, new: str, table: str | None = None) -> str:
    """The expression with every use of column ``old`` written as ``new``.

    :param table: the only table that may qualify the column; without it, any
    """
    pieces, at = [], 0
    for column, qualifier in column_tokens(expression):
        if same(column.name, old) and (
            qualifier is None or table is None or same(qualifier.name, table)
        ):
            pieces += [expression[at : column.start], in_style(new, column.text)]
            at = column.end
    return "".join([*pieces, expression[at:]])


def mentions(expression: str, name: str) -> bool:
    """Whether an expression uses the column ``name``."""
    return fold(name) in {fold(found) for found in identifiers(expression)}


def column_tokens(expression: str) -> Iterator[tuple[Token, Token | None]]:
    """The tokens that name columns, each with the token of the table that qualifies it, if any.

    A word can be a name and a keyword (END, KEY, LIKE ...); which one it is follows from
    whether the expression waits for an operand or for an operator.
    """
    tokens = [*tokenize(expression), Token("end", "", len(expression), len(expression))]
    operand, at = True, 0
    while (token := tokens[at]).kind != "end":
        after = tokens[at + 1]
        at += 1
        if token.kind == "punct":
            operand = token.text != ")"
        elif operand and token.is_name and after.text == "." and tokens[at + 1].is_name:
            while tokens[at].text == "." and tokens[at + 1].is_name:
                at += 2
            yield tokens[at - 1], tokens[at - 3]
            operand = False
        elif token.kind in ("number", "string", "blob") or (operand and token.keyword in _LITERALS):
            operand = False
        elif operand:
            if token.keyword in RESERVED or after.text == "(":
                continue
            yield token, None
            operand = False
        elif token.keyword == "COLLATE":
            at += 1
        elif token.keyword == "AS":
            at = _closing(tokens, at)
        elif token.keyword not in _POSTFIX:
            operand = True


def _closing(tokens: list[Token], at: int) -> int:
    """The place of the parenthesis that ends a CAST, from within its type."""
    depth = 0
    while tokens[at].kind != "end":
        depth += {"(": 1, ")": -1}.get(tokens[at].text, 0)
        if depth < 0:
            break
        at += 1
    return at
