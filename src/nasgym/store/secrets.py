"""Passwords in the URLs of stores: neither shown nor written down."""

import re
from typing import Any

_PASSWORD = re.compile(r"(\w://[^\s:/@]*):[^\s@]+@")


def without_password(text: str) -> str:
    """Return `text` with three asterisks in place of the password in any URL.

    >>> without_password("nasgym worker --store postgresql+psycopg://me:secret@server/nas")
    'nasgym worker --store postgresql+psycopg://me:***@server/nas'
    """
    return _PASSWORD.sub(r"\1:***@", text)


def as_kept(settings: Any) -> Any:
    """Return JSON values as they may be written down: without the passwords of URLs in them.

    Such a URL still opens the store where the server finds the password elsewhere, as in `PGPASSWORD` or a password
    file, and where it asks for none.

    >>> as_kept({"run": {"store": "postgresql+psycopg://me:secret@server/nas", "seed": 0}})
    {'run': {'store': 'postgresql+psycopg://me@server/nas', 'seed': 0}}
    """
    match settings:
        case str():
            return _PASSWORD.sub(r"\1@", settings)
        case dict():
            return {name: as_kept(value) for name, value in settings.items()}
        case list() | tuple():
            return [as_kept(value) for value in settings]
        case _:
            return settings
