"""What a surrogate of an experiment refuses: stages, tasks and environments that do not go together."""

import pytest
from tiny_surrogate import MODELLED, experiment

from nasgym.core.errors import ConfigurationError, TableError
from nasgym.experiments.stages.running import run_experiment


def test_a_surrogate_waits_for_the_stages_it_is_fitted_to(tmp_path):
    with pytest.raises(ConfigurationError, match=r"Stage 'model' builds on stage 'walk', which is not finished in .*"):
        run_experiment(experiment(tmp_path), ["model"])


def test_too_few_networks_are_refused_with_the_stage(tmp_path):
    few = experiment(tmp_path, MODELLED.replace("steps = 160", "steps = 32"))
    run_experiment(few, ["walk"])
    with pytest.raises(TableError, match=r"Stage 'model': Task 'parts, subset 1' .* a surrogate needs 20"):
        run_experiment(few, ["model"])
    assert not few.around.stage("model").result.exists()


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        ('of = "walk"', 'of = "wlak"', r"stages\.model names an unknown earlier stage, 'wlak'.*Did you mean 'walk'\?"),
        ('of = "walk"', 'of = "there/walk"', r"stages\.model names an unknown earlier stage, 'there/walk'"),
        ('of = "walk"', "of = []", r"stages\.model.*of"),
        ('kind = "walk"', 'kind = "hardness"', r"stages\.model\.of: stage 'walk' is of kind 'hardness'; name some of"),
        ('"model"\n', '"walk"\n', r"stages\.learn\.surrogate: stage 'walk' is of kind 'walk', not a surrogate"),
        ('"model"\n', '"modle"\n', r"stages\.learn names an unknown earlier stage, 'modle'.*Did you mean 'model'\?"),
        ('policy = "learn"', 'policy = "model"', r"stages\.frozen: stage 'model' is a surrogate, which has neither"),
        ('"model"\n', '"model"\ninit = "model"\n', r"stages\.learn: stage 'model' is a surrogate, which has neither"),
        (
            'of = "walk"\ntasks = "parts"',
            'of = "walk"\ntasks = ["parts", "other"]',
            r"stages\.model\.tasks: task 'other' is not covered by stages walk \(parts\)",
        ),
        (
            'surrogate = "model"\ntasks = "parts"',
            'surrogate = "model"\ntasks = "other"',
            r"stages\.learn\.tasks: task 'other' is not covered by surrogate 'model' \(parts\)",
        ),
        (
            "[stages.frozen]",
            '[stages.again]\nkind = "surrogate"\nof = "learn"\ntasks = "parts"\n[stages.frozen]',
            r"stages\.again\.of: stage 'learn' has trained no network, since surrogate 'model' answers",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_stage(tmp_path, before, after, error):
    assert before in MODELLED
    with pytest.raises(ConfigurationError, match=error):
        experiment(tmp_path, MODELLED.replace(before, after, 1))


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        (
            'surrogate = "model"\n',
            'surrogate = "model"\nenvironment = { profile = "paper" }\n',
            r"Stage 'learn': environment\.profile is 'paper' here and 'default' in stage 'model'",
        ),
        (
            'of = "walk"\n',
            'of = "walk"\nenvironment = { space = "multi-branch" }\n',
            r"Stage 'model': environment\.space is 'multi-branch' here and None in stage 'walk'",
        ),
        (
            'surrogate = "model"\n',
            'surrogate = "model"\nenvironment = { describe_task = true }\n',
            r"Stage 'learn': A surrogate knows no images to describe: leave out describe_task",
        ),
    ],
)
def test_environments_that_a_surrogate_cannot_answer_in_are_refused(tmp_path, before, after, error):
    with pytest.raises(ConfigurationError, match=error):
        experiment(tmp_path, MODELLED.replace(before, after, 1)).check()
