"""The leases that one process holds, renewed for as long as it lives."""

import logging
import threading
from types import TracebackType
from typing import Self

from nasgym.core.errors import StoreError
from nasgym.evaluation import EvaluationKey
from nasgym.store import LEASE_SECONDS, Claim, Store, Won

RENEWALS = 3
"""Times that a lease is renewed before it would run out."""

_log = logging.getLogger(__name__)


class Leases:
    """Leases of one owner. A thread renews them inside the block, at the end of which they are released.

    Args:
        store: where they are kept.
        owner: who holds them; what takes the same name again, takes them over.
        seconds: for how long others wait when this process is killed.
    """

    def __init__(self, store: Store, owner: str, *, seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self.owner = owner
        self._seconds = seconds
        self._keys: set[EvaluationKey] = set()
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_ended, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        try:
            self.release(*self.held)
        except StoreError as failure:
            if kind is None:
                raise
            _log.warning("Leases are not released, and run out in %g s: %s", self._seconds, failure)

    @property
    def held(self) -> frozenset[EvaluationKey]:
        """The keys that are held, as far as is known here."""
        with self._guard:
            return frozenset(self._keys)

    def claim(self, *keys: EvaluationKey) -> dict[EvaluationKey, Claim]:
        """Take those leases that nobody else holds, and say what became of each."""
        claims = self._store.claim(keys, self.owner, self._seconds)
        with self._guard:
            self._keys |= {key for key, claim in claims.items() if isinstance(claim, Won)}
        return claims

    def release(self, *keys: EvaluationKey) -> None:
        """Let others have them at once."""
        self.forget(*keys)
        if keys:
            self._store.release(keys, self.owner)

    def forget(self, *keys: EvaluationKey) -> None:
        """Stop renewing leases that have ended with their outcomes."""
        with self._guard:
            self._keys -= set(keys)

    def _renew_until_ended(self) -> None:
        missing: frozenset[EvaluationKey] = frozenset()
        while not self._ended.wait(self._seconds / RENEWALS):
            held = self.held
            try:
                renewed = self._store.renew(tuple(held), self.owner, self._seconds) if held else ()
            except StoreError as error:
                _log.warning("%d leases could not be renewed: %s", len(held), error)
                continue
            lost = missing.intersection(self.held).difference(renewed)  # for the second time: it is not just answered
            if lost:
                _log.warning("%d leases ran out and were taken by others; who ends first is kept.", len(lost))
            missing = held.difference(renewed, lost)
