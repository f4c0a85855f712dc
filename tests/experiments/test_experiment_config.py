"""Files of experiments: what they mean, what they inherit, and what is refused."""

from pathlib import Path

import pytest
from tiny_experiment import TINY, write

from nasgym.core.errors import ConfigurationError
from nasgym.evaluation.recipes import training_profile
from nasgym.experiments.meta.agents import agent_named
from nasgym.experiments.stages.config import read_experiment
from nasgym.experiments.stages.kinds import FinalStage, FrozenStage, HardnessStage, TrainStage, WalkStage
from nasgym.experiments.stages.retraining import contenders

CONFIGS = Path(__file__).parents[2] / "configs" / "paper"
FILES = sorted(file for file in CONFIGS.rglob("experiment-*.toml"))


def read(folder: Path, *changes: tuple[str, str]):
    text = TINY
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    return read_experiment(write(text, folder / "tiny.toml"))


def test_a_file_is_read_in_the_order_of_its_stages(tmp_path):
    config = read(tmp_path)
    kinds = [TrainStage, TrainStage, TrainStage, WalkStage, FrozenStage, HardnessStage, FinalStage]
    assert [type(stage) for stage in config.stages.values()] == kinds
    assert list(config.stages)[:3] == ["meta-low", "meta-high", "dqn-low"]
    low = config.tasks["low"]
    assert (low.source, low.size, low.classes, low.samples, low.paper) == (
        "digits",
        8,
        ("0", "1", "2"),
        (50,),
        "omniglot",
    )
    assert config.agents["meta-a2c"].name == "paper"
    assert config.agents["meta-a2c"].settings["memory"] == {"size": 8}
    assert config.environment_of("dqn-low").signals == ()
    assert config.environment_of("dqn-low").max_layers == 3
    assert len(config.environment_of("meta-low").signals) == 5


def test_a_file_on_top_of_another_says_only_what_differs(tmp_path):
    write(TINY, tmp_path / "base" / "tiny.toml")
    top = write(
        'extends = "base/tiny.toml"\nname = "top"\n[defaults.task]\nsize = 12\n[stages.walk-low]\nsteps = 99\n'
        '[stages.more]\nkind = "walk"\ntasks = "low"\nsteps = 5\n',
        tmp_path / "top.toml",
    )
    base, config = read_experiment(tmp_path / "base" / "tiny.toml"), read_experiment(top)
    assert config.name == "top"
    assert {task.size for task in config.tasks.values()} == {12}
    assert config.stages["walk-low"].model_dump() == base.stages["walk-low"].model_dump() | {"steps": 99}
    assert list(config.stages) == [*base.stages, "more"]
    assert config.agents == base.agents


def test_what_stages_have_in_common_is_said_once(tmp_path):
    config = read(tmp_path, ("[environment]", "[defaults.stage]\nseed = 7\n\n[environment]"))
    assert {stage.seed for stage in config.stages.values()} == {7}


def test_sources_are_looked_for_in_the_folder_of_the_data(tmp_path):
    (tmp_path / "data" / "digits").mkdir(parents=True)
    file = write(TINY + '\n[tasks.other]\nsource = "elsewhere"\n', tmp_path / "tiny.toml")
    tasks = read_experiment(file, tmp_path / "data").tasks
    assert tasks["low"].source == str(tmp_path / "data" / "digits")
    assert tasks["other"].source == "elsewhere"


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        ('kind = "walk"', 'kind = "wander"', r"tiny\.toml.*stages\.walk-low.*wander"),
        ("steps = 24", "stepps = 24", r"unknown key .stages\.walk-low\.stepps.*Did you mean 'steps'\?"),
        ("max_layers = 3", "max_layer = 3", r"unknown key 'environment\.max_layer'.*Did you mean 'max_layers'\?"),
        ('tasks = "high"', 'tasks = "hihg"', r"stages\.meta-high\.tasks names an unknown task, 'hihg'.*mean 'high'\?"),
        (
            'agent = "dqn"',
            'agent = "dnq"',
            r"stages\.dqn-low\.agent names an unknown agent, 'dnq'.*Did you mean 'dqn'\?",
        ),
        ('init = "meta-low"', 'init = "meta-lo"', r"unknown earlier stage, 'meta-lo'.*Did you mean 'meta-low'\?"),
        ('init = "meta-low"', 'init = "walk-low"', r"stages\.meta-high names an unknown earlier stage, 'walk-low'"),
        ('best_of = "frozen"', 'best_of = "other/frozen"', r"stages\.final names an unknown earlier stage"),
        ("[defaults.task]", "[defaults.tasks]", r"unknown key 'defaults\.tasks'\. Did you mean 'task'\?"),
        ('tasks = "low"\nsteps = 24', 'tasks = ["low", "high"]\nsteps = 24', r"kind 'walk' has one task"),
        ('name = "tiny"', 'name = "a/b"', r"'name' is 'a/b'"),
        ('name = "tiny"', 'extends = "tiny.toml"', r"extends itself"),
        ('name = "tiny"', "extends = 3", r"'extends' is 3: it names one file"),
        ('name = "tiny"', 'extends = "gone.toml"', r"Cannot read configuration file .*gone\.toml"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_key(tmp_path, before, after, error):
    with pytest.raises(ConfigurationError, match=f"(?s){error}"):
        read(tmp_path, (before, after))


def test_a_wrong_setting_of_a_stages_environment_names_the_stage(tmp_path):
    config = read(tmp_path, ("environment = { signals = [] }", "environment = { singals = [] }"))
    with pytest.raises(
        ConfigurationError, match=r"In stages\.dqn-low\.environment: .*'singals'.*Did you mean 'signals'"
    ):
        config.environment_of("dqn-low")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_the_experiments_of_the_paper_are_read(file):
    config = read_experiment(file)
    folder = file.parent.name
    assert config.name == f"{folder}-{file.stem[-1]}"
    assert config.paper == int(file.stem[-1])
    assert bool(config.scaled) == (folder != "paper")
    for name, stage in config.stages.items():
        training_profile(config.environment_of(name).profile)
        if isinstance(stage, TrainStage):
            agent = config.agents[stage.agent]
            agent_named(agent.name).check(agent.settings)
        if isinstance(stage, FinalStage):
            contenders((), stage)
        for source in stage.sources:
            experiment, _, other = source.rpartition("/")
            if experiment:
                before = read_experiment(file.with_name(f"experiment-{experiment[-1]}.toml"))
                assert (before.name, other in before.stages) == (experiment, True)


def test_full_scale_is_as_the_paper_has_it():
    first, second, third = (read_experiment(CONFIGS / f"experiment-{number}.toml") for number in (1, 2, 3))
    steps = {name: stage.steps for name, stage in first.stages.items()}
    assert [steps[f"meta-a2c-{task}"] for task in ("omniglot", "vgg_flower", "dtd")] == [8000, 7000, 7000]
    for baseline in ("dqn", "walk"):
        assert [steps[f"{baseline}-{task}"] for task in ("omniglot", "vgg_flower", "dtd")] == [6500, 5500, 7000]
    assert steps["hardness"] == 200
    for config in (first, second, third):
        environment = config.environment
        assert (environment.max_layers, environment.profile, environment.masks) == (10, "paper", False)
        assert (str(environment.reward_timing), environment.episodes) == ("every_step", 1)
        assert {(task.size, task.epochs, task.samples, task.fractions) for task in config.tasks.values()} == {
            (84, (12,), None, (0.67, 0.33, 0.0))
        }
        assert {task.split_seed for task in config.tasks.values()} == {32}
    defects = first.agents["meta-a2c"].settings["defects"]
    assert len(defects) == 4
    assert all(defects.values())
    assert {second.stages[f"frozen-{task}"].steps for task in ("aircraft", "cu_birds")} == {2000}
    final = second.stages["final-aircraft"]
    assert (final.networks, final.trainings, final.epochs, final.profile) == (2, 5, None, "paper-intensive")
    assert third.agents["meta-a2c"].settings["rollout"] == {"steps": 10}
    assert [third.environment_of(name).shift_reward for name in third.stages] == [0.0, 0.1]
    assert {(stage.steps, third.environment_of(name).max_steps) for name, stage in third.stages.items()} == {
        (20000, 20)
    }
