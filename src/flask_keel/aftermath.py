"""What a failed migration left behind, told by who knows to who writes the sentence."""


def note(error: BaseException, words: str) -> None:
    """Say of an error what it left."""
    error.aftermath = words  # type: ignore[attr-defined]


def of(error: BaseException) -> str | None:
    """Return what was said of an error."""
    return getattr(error, "aftermath", None)
