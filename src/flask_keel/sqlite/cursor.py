"""A place in the tokens of a text, and the steps that a reader takes from there."""

from .tokens import Span, Token, Unreadable, tokenize


class Cursor:
    """One pass over the tokens of one text; ``at`` is the token to read next."""

    def __init__(self, sql: str):
        self.sql = sql
        self.tokens = (*tokenize(sql), Token("end", "", len(sql), len(sql)))
        self.at = 0

    @property
    def here(self) -> Token:
        return self.tokens[min(self.at, len(self.tokens) - 1)]

    @property
    def behind(self) -> Token:
        return self.tokens[min(self.at, len(self.tokens)) - 1]

    def next(self) -> Token:
        token = self.here
        self.at += 1
        return token

    def sees(self, *words: str) -> bool:
        tokens = self.tokens[self.at : self.at + len(words)]
        return len(tokens) == len(words) and all(
            word in (token.keyword, token.text) for token, word in zip(tokens, words, strict=True)
        )

    def takes(self, *words: str) -> bool:
        """Step over these words when they are next."""
        if found := self.sees(*words):
            self.at += len(words)
        return found

    def needs(self, *words: str) -> None:
        if not self.takes(*words):
            self.fail(" ".join(words))

    def name(self) -> Token:
        if not self.here.is_name:
            self.fail("a name")
        return self.next()

    def fail(self, wanted: str):
        seen = self.here.text or "its end"
        raise Unreadable(
            f"this CREATE TABLE text cannot be read: {wanted} was due at character "
            f"{self.here.start}, where it has {seen!r}"
        )

    def parentheses(self) -> Span:
        """Step over a pair of parentheses; the span of what they hold."""
        self.needs("(")
        start, depth = self.behind.end, 1
        while depth:
            if self.here.kind == "end":
                self.fail(")")
            if self.here.kind == "punct":
                depth += {"(": 1, ")": -1}.get(self.here.text, 0)
            self.at += 1
        return start, self.behind.start

    def words_from(self, first: int) -> str:
        return " ".join(t.keyword or t.text for t in self.tokens[first : self.at])
