"""What a store keeps of agents: rows come back as they went in, the first of a number stays, pages do not matter."""

from dataclasses import replace

import pytest

from nasgym.core.errors import StoreError
from nasgym.store import PlayedMetaEpisode, Trace, TrainingUpdate, open_store
from nasgym.store.training_sql import PAGE


def update(run: str, number: int) -> TrainingUpdate:
    return TrainingUpdate(
        run, number, 100 * number, 0.5, 3, 1.25, None, 4.5, (0.5, None), (1, 2, 3), {"kl": 0.01, "loss": -2.0}
    )


def played(run: str, number: int, phase: str = "validation", after: int = 0) -> PlayedMetaEpisode:
    return PlayedMetaEpisode(
        run, phase, after, number, "sea", (0.5, 0.25), (0.5, None), (3, 4), ("conv3 maxpool2", None)
    )


def test_rows_come_back_as_they_went_in(location):
    with open_store(location) as store:
        run = store.start_run("meta-train", {}, seed=0).id
        rows = [update(run, 1), replace(update(run, 2), mean_return=None, entropy=1.5, rewards=(), metrics={})]
        store.training_log().save_updates(reversed(rows))
        episodes = [played(run, 0), played(run, 1), played(run, 0, after=7), played(run, 0, "yoked to sky")]
        store.training_log().save_meta_episodes(reversed(episodes))
    with open_store(location) as store:
        assert list(store.training_log().updates(run)) == rows
        assert list(store.training_log().meta_episodes(run)) == episodes
        assert list(store.training_log().meta_episodes(run, phase="validation")) == episodes[:3]
        assert list(store.training_log().updates("another")) == []


def test_the_first_row_of_a_number_stays(location):
    with open_store(location) as store:
        run = store.start_run("meta-train", {}, seed=0).id
        log = store.training_log()
        log.save_updates([update(run, 1)])
        log.save_updates([replace(update(run, 1), seconds=9.0), update(run, 2)])
        log.save_meta_episodes([played(run, 0)])
        log.save_meta_episodes([replace(played(run, 0), task="sky")])
        assert list(log.updates(run)) == [update(run, 1), update(run, 2)]
        assert list(log.meta_episodes(run)) == [played(run, 0)]


def test_more_rows_than_a_page_come_in_their_order(location):
    with open_store(location) as store:
        run = store.start_run("meta-train", {}, seed=0).id
        rows = [update(run, number) for number in range(1, 2 * PAGE + 2)]
        store.training_log().save_updates(rows)
        assert list(store.training_log().updates(run)) == rows
        episodes = [played(run, number, after=after) for after in (0, 3) for number in range(PAGE)]
        store.training_log().save_meta_episodes(episodes)
        assert list(store.training_log().meta_episodes(run)) == episodes


def test_rows_of_an_unknown_run_are_refused(location):
    with open_store(location) as store, pytest.raises(StoreError, match="start the run first"):
        store.training_log().save_updates([update("nobody's", 1)])


def test_steps_come_back_as_they_went_in(location):
    trace = Trace(((0, 7), (3, 1)), ((0.25, 0.0), (1 / 3, 1.0)), ((0, 1), (2, 0)), (0,), ((0, 1), (0, 0)))
    with open_store(location) as store:
        run = store.start_run("meta-train", {}, seed=0).id
        rows = [replace(update(run, 1), trace=trace), replace(update(run, 2), trace=Trace()), update(run, 3)]
        episode = replace(played(run, 0), actions=((1, 7), (2,)), step_rewards=((0.5, 0.5), (0.25,)))
        store.training_log().save_updates(rows)
        store.training_log().save_meta_episodes([episode, played(run, 1)])
    with open_store(location) as store:
        assert list(store.training_log().updates(run)) == rows
        assert list(store.training_log().meta_episodes(run)) == [episode, played(run, 1)]
