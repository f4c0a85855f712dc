"""Numbers as people read them. Spaces inside a quantity do not break."""

from collections.abc import Sequence

_NBSP = "\u00a0"
UNKNOWN = "–"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in [0, 1] as a percentage: `87.3 %`."""
    return UNKNOWN if share is None else f"{100 * share:.{digits}f}{_NBSP}%"


def quantity(number: float | None, unit: str = "") -> str:
    """Return a number with three significant digits and a prefix: `48.2 k`, `1.25 M`; `–` for none or zero.

    >>> quantity(999), quantity(48213, "B"), quantity(999_600)
    ('999', '48.2\\xa0kB', '1.00\\xa0M')
    """
    if not number:
        return UNKNOWN
    value, prefix = float(number), ""
    for larger in ("k", "M", "G", "T"):
        if value < 999.5:
            break
        value, prefix = value / 1000, larger
    if not prefix:
        return f"{value:.0f}{_NBSP}{unit}" if unit else f"{value:.0f}"
    digits = f"{value:#.3g}".rstrip(".")
    return f"{digits}{_NBSP}{prefix}{unit}"


def integer(number: int) -> str:
    """Return a whole number with its thousands apart: `12 400`."""
    return f"{number:,}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """Return a time in its two largest units: `0.8 s`, `42 s`, `14 min 3 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f}{_NBSP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{_NBSP}s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes}{_NBSP}min" + (f"{_NBSP}{rest}{_NBSP}s" if rest else "")
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours}{_NBSP}h" + (f"{_NBSP}{rest}{_NBSP}min" if rest else "")


def plural(number: int, singular: str, several: str = "") -> str:
    """Return a number with its noun: `1 network`, `60 networks`."""
    return f"{integer(number)} {singular if number == 1 else several or singular + 's'}"


def enumeration(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def article(noun: str) -> str:
    """Return a noun with its indefinite article: `a random network`."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def sentence_case(text: str) -> str:
    """Return a text with its first letter in upper case and the others as they are."""
    return text[:1].upper() + text[1:]
