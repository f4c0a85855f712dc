"""The configuration: what it accepts, and how it refuses."""

import json
import re
from pathlib import Path

import pytest

from nasgym.core.errors import ConfigurationError
from nasgym.experiments.config import make_config, merged, read_config, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("1.5h", 5400), ("2m30s", 150), ("1h5s", 3605), (7, 7)],
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "m", "15x", "-3s", "0", "1m1h", "nan", 0, -1, float("inf"), True, [], None])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": {"source": "x", "siz": 3}}, "unknown key 'data.siz'. Did you mean 'size'?"),
        ({"data": {"source": "x"}, "budgt": 3}, "unknown key 'budgt'. Did you mean 'budget'?"),
        ({"data": {"source": "x"}, "limits": {"max_params": 3}}, "unknown key 'limits.max_params'. Did you mean"),
        ({"data": {"source": "x"}, "budget": "15x"}, "'budget' is '15x': a duration looks like 90s, 15m or 1h30m."),
        ({"data": {"source": "x"}, "evaluations": 0}, "'evaluations' is 0: input should be greater than or equal to 1"),
        ({}, "'data' is missing: name a folder, archive or file of images"),
        ({"data": {"source": "x"}, "budget": [5]}, "'budget' is [5]: a duration looks like 90s"),
        ({"data": {"source": "x"}, "evaluation": {"reward": "f1"}}, "'evaluation.reward' is 'f1': input should be"),
        ({"data": {"source": "x", "size": 4}}, "'data.size' is 4: input should be greater than or equal to 8."),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(settings, message):
    with pytest.raises(ConfigurationError, match=re.escape(f"In my.toml: {message}"[:60])):
        make_config(settings, source="my.toml")


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [({}, 30), ({"budget": "1m"}, None), ({"evaluations": 5}, 5), ({"evaluations": 5, "budget": "1m"}, 5)],
)
def test_without_a_bound_the_search_stops_after_thirty_networks(bounds, expected):
    assert make_config({"data": {"source": "digits"}} | bounds).most_evaluations == expected


def test_the_slash_that_shells_append_makes_no_difference():
    sources = [make_config({"data": {"source": source}}).data.source for source in ("photos/", "photos", "/")]
    assert sources == ["photos", "photos", "/"]


def test_a_configuration_comes_back_from_json_as_it_was():
    config = make_config(
        {"data": {"source": "x", "labels": "a.csv", "classes": ["1"]}, "budget": "2m", "out": "runs/a"}
    )
    assert make_config(json.loads(json.dumps(config.model_dump(mode="json")))) == config


def test_settings_on_top_change_only_what_they_name():
    base = {"seed": 1, "data": {"source": "a", "size": 64}}
    assert merged(base, {"data": {"source": "b"}}) == {"seed": 1, "data": {"source": "b", "size": 64}}


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"Cannot read configuration file .*none\.toml: No such file"):
        read_config(tmp_path / "none.toml")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("seed = ")
    with pytest.raises(ConfigurationError, match=r"wrong\.toml is not TOML"):
        read_config(wrong)


@pytest.mark.parametrize(
    ("settings", "samples"),
    [
        ({}, "all"),
        ({"budget": "15m"}, 4500),
        ({"budget": "60s"}, 2000),
        ({"budget": "15m", "evaluation": {"samples": "all"}}, "all"),
        ({"budget": "15m", "evaluation": {"samples": 300}}, 300),
    ],
)
def test_a_budget_limits_the_images_of_an_evaluation_unless_told_otherwise(settings, samples):
    settled = make_config({"data": {"source": "digits"}} | settings).settled(workers=2)
    assert settled.evaluation.samples == samples
    assert settled.settled(workers=2) == settled


@pytest.mark.parametrize(
    ("given", "workers", "in_flight"), [(None, 0, 4), (None, 2, 4), (None, 4, 4), (None, 16, 16), (2, 16, 2), (9, 1, 9)]
)
def test_as_many_networks_are_in_flight_as_there_are_workers_and_at_least_four(given, workers, in_flight):
    settled = make_config({"data": {"source": "digits"}, "in_flight": given}).settled(workers)
    assert settled.in_flight == in_flight
    assert settled.settled(workers=99) == settled


@pytest.mark.parametrize("gpus", [-1, "half"])
def test_gpus_of_a_worker_are_a_number_from_0(gpus):
    with pytest.raises(ConfigurationError, match=r"'ray\.gpus_per_worker' is"):
        make_config({"data": {"source": "digits"}, "ray": {"gpus_per_worker": gpus}})
