"""What a store promises of leases and of requests that wait; part of `nasgym.testing.stores`."""

import time
from collections.abc import Callable

from nasgym.evaluation import Completed, EvaluationKey
from nasgym.store import Answered, Held, QueuedRequest, RunStatus, Store, StoredEvaluation, Won
from nasgym.testing.store_requests import MADE_BY, request_and_key

LONG, SHORT = 600.0, 0.05
"""Seconds of a lease that outlasts the check, and of one that does not."""
KEYS = tuple(request_and_key(seed=seed)[1] for seed in range(4))


def gives_a_lease_to_one_owner(store: Store) -> None:
    """Of all who claim a key, one wins; the others learn who, and for how long."""
    assert store.claim([], "one", LONG) == {}, "a claim of nothing must return nothing"
    assert store.claim(KEYS[:2], "one", LONG) == dict.fromkeys(KEYS[:2], Won(0)), "free keys must be won"
    claims = store.claim(KEYS[:3], "two", LONG)
    for key in KEYS[:2]:
        held = claims[key]
        assert isinstance(held, Held), "a key that another owner holds must not be won"
        assert held.owner == "one", "a claim must tell who holds the key"
        assert LONG / 2 < held.seconds <= LONG, f"a lease of {LONG:g} s cannot have {held.seconds} s left"
    assert claims[KEYS[2]] == Won(0), "a free key must be won beside one that is held"
    assert store.claim(KEYS[:1], "one", LONG) == {KEYS[0]: Won(0)}, "an owner must keep what it claims again"


def gives_a_lease_that_ran_out_to_the_next(store: Store) -> None:
    """The lease of a dead worker is taken over after its deadline, and the loss is counted."""
    key = KEYS[0]
    for losses, owner in enumerate(("one", "two", "three")):
        assert store.claim([key], owner, SHORT) == {key: Won(losses)}, "a lease that ran out must be won, and counted"
        time.sleep(2 * SHORT)
    assert store.claim([key], "three", LONG) == {key: Won(2)}, "its own lease that ran out is no loss for the owner"
    assert isinstance(store.claim([key], "four", LONG)[key], Held), "a lease claimed anew must hold"


def renews_leases(store: Store) -> None:
    """A renewed lease holds, one that another has taken is gone."""
    first, second, third = KEYS[:3]
    store.claim([first, second], "one", SHORT)
    assert store.renew([first, third], "one", LONG) == {first}, "only a lease that the owner holds can be renewed"
    time.sleep(2 * SHORT)
    claims = store.claim([first, second], "two", LONG)
    assert isinstance(claims[first], Held), "a renewed lease must hold"
    assert claims[second] == Won(1), "a lease that was not renewed must run out"
    assert store.renew([first, second], "one", LONG) == {first}, "a lease that another has taken must not be renewed"
    assert store.renew([], "one", LONG) == set(), "renewing nothing must return nothing"


def renews_a_lease_that_ran_out_and_nobody_took(store: Store) -> None:
    """A worker that was held up goes on."""
    store.claim(KEYS[:1], "one", SHORT)
    time.sleep(2 * SHORT)
    assert store.renew(KEYS[:1], "one", LONG) == {KEYS[0]}, "a lease that nobody has taken must be renewed"
    assert isinstance(store.claim(KEYS[:1], "two", LONG)[KEYS[0]], Held), "it must hold again"


def releases_leases(store: Store) -> None:
    """What an owner lets go is free at once, and no loss; what others hold stays."""
    first, second = KEYS[:2]
    store.claim([first], "one", LONG)
    store.claim([second], "two", LONG)
    store.release([first, second], "one")
    assert store.claim([first], "three", SHORT) == {first: Won(0)}, "a released lease must be free, and is no loss"
    assert isinstance(store.claim([second], "three", LONG)[second], Held), "the lease of another must stay"
    time.sleep(2 * SHORT)
    store.claim([first], "four", LONG)
    store.release([first], "four")
    assert store.claim([first], "five", LONG) == {first: Won(1)}, "a release must not make losses forgotten"


def ends_a_lease_with_the_outcome(store: Store) -> None:
    """Keeping an outcome ends the lease; the outcome of a worker that was given up is kept if it is the first."""
    late, put, stepped, added = KEYS
    store.claim(KEYS, "one", LONG)
    request, _ = request_and_key()
    run = store.start_run("search", {}, seed=0, made_by=MADE_BY)
    store.put(request, put, Completed(0.25))
    store.record_step(run.id, 0, request, stepped, Completed(0.5), from_store=False)
    store.add([StoredEvaluation.of(request, added, Completed(0.75))])
    expected = {put: Answered(Completed(0.25)), stepped: Answered(Completed(0.5)), added: Answered(Completed(0.75))}
    assert store.claim([put, stepped, added], "two", LONG) == expected, "a key with an outcome must be answered by it"
    assert store.renew(KEYS, "one", LONG) == {late}, "an outcome must end the lease on its key"
    store.release([late], "one")
    store.claim([late], "two", LONG)
    store.put(request, late, Completed(0.125))
    assert store.get(late) == Completed(0.125), "the outcome of a worker whose lease is over must be kept"
    store.put(request, late, Completed(0.5))
    assert store.get(late) == Completed(0.125), "the first outcome must stay"
    assert store.renew([late], "two", LONG) == set(), "a late outcome must end the lease, whoever holds it"


def keeps_requests_that_wait(store: Store) -> None:
    """Requests come back equal, the longest waiting first, until somebody takes them or they are answered."""
    runs = [store.start_run("search", {}, seed=seed, made_by=MADE_BY).id for seed in range(2)]
    requests = [
        QueuedRequest(runs[0], 7, KEYS[0], "conv3(0) conv5(0)"),
        QueuedRequest(runs[0], 2, KEYS[1], "conv5"),
        QueuedRequest(runs[1], 0, KEYS[2], "conv1", phase="other"),
    ]
    store.queue([])
    for request in requests:
        store.queue([request])
        time.sleep(0.002)
    store.queue(requests)
    assert store.queued() == requests, "requests must come back equal, those queued first coming first, and once"
    assert store.queued(limit=1) == requests[:1], "queued must obey the limit"
    assert store.queued(run=runs[1]) == requests[2:], "queued must obey the run"
    store.claim([KEYS[0]], "one", SHORT)
    assert store.queued() == requests[1:], "a request that somebody holds a lease on must not be offered"
    time.sleep(2 * SHORT)
    assert store.queued() == requests, "a request must be offered again when the lease has run out"
    store.claim([KEYS[0]], "two", LONG)
    store.release([KEYS[0]], "two")
    assert store.queued() == requests, "a request must be offered again when the lease is released"
    store.put(request_and_key()[0], KEYS[1], Completed(0.5))
    assert store.queued() == [requests[0], requests[2]], "a request that is answered must not wait any longer"


def drops_requests_of_runs_that_end(store: Store) -> None:
    """A run takes back what it no longer needs; other runs keep theirs."""
    runs = [store.start_run("search", {}, seed=seed, made_by=MADE_BY).id for seed in range(3)]
    requests = [QueuedRequest(run, 0, KEYS[number], "conv3") for number, run in enumerate(sorted(runs))]
    store.queue(requests)
    store.withdraw(requests[0].run)
    assert store.queued() == requests[1:], "requests that were withdrawn must not be offered"
    store.finish_run(requests[1].run, RunStatus.INTERRUPTED)
    assert store.queued() == requests[2:], "requests of a run that has ended must not be offered"


def drops_a_request_that_was_answered_before_it_waited(store: Store) -> None:
    """A claim finds the outcome, and the request is gone."""
    run = store.start_run("search", {}, seed=0, made_by=MADE_BY)
    store.put(request_and_key()[0], KEYS[0], Completed(0.5))
    store.queue([QueuedRequest(run.id, 0, KEYS[0], "conv3")])
    assert store.claim([KEYS[0]], "one", LONG) == {KEYS[0]: Answered(Completed(0.5))}, "a known outcome must answer"
    assert store.queued() == [], "a claim that is answered must drop the requests for its key"


def tells_leases_apart_by_the_whole_key(store: Store) -> None:
    """A lease on one seed is none on another."""
    other: EvaluationKey = request_and_key(task="signs")[1]
    store.claim([KEYS[0]], "one", LONG)
    assert store.claim([other, KEYS[1]], "two", LONG) == {other: Won(0), KEYS[1]: Won(0)}, "other keys must be free"


LEASE_CHECKS: tuple[Callable[[Store], None], ...] = (
    gives_a_lease_to_one_owner,
    gives_a_lease_that_ran_out_to_the_next,
    renews_leases,
    renews_a_lease_that_ran_out_and_nobody_took,
    releases_leases,
    ends_a_lease_with_the_outcome,
    keeps_requests_that_wait,
    drops_requests_of_runs_that_end,
    drops_a_request_that_was_answered_before_it_waited,
    tells_leases_apart_by_the_whole_key,
)
"""Every check of this module."""
