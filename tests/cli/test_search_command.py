"""`nasgym search` and what it leaves behind, as `nasgym predict` and `nasgym store` find it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from terminal import Prompt, Shell

import nasgym
from conftest import QUICK, FinishedSearch
from nasgym.architectures import architecture_id, encode, parse_architecture
from nasgym.evaluation.checkpoints import Classifier
from nasgym.experiments.config import DataSettings, EvaluationSettings, LimitSettings, RayWorkers, SearchConfig
from nasgym.networks.profiles import DEFAULT
from nasgym.store import EvaluationQuery, RunStatus, open_store
from nasgym.tasks import make_task

FIELDS = {
    *("architecture", "nsc", "architecture_id", "validation_accuracy", "test_accuracy", "search_validation_accuracy"),
    *("evaluations", "failures", "baselines", "seconds", "seed", "versions"),
}


def timeless(result: dict) -> dict:
    """The fields that have to be the same when a search is repeated."""
    return {name: value for name, value in result.items() if name not in ("seconds", "out")}


def test_result_json_holds_every_field_and_is_what_json_prints(finished: FinishedSearch):
    result = json.loads((finished.out / "result.json").read_text())
    assert result == json.loads(finished.said.out)
    assert result.keys() >= FIELDS
    assert result["evaluations"] == 5
    assert result["failures"] == {}
    assert set(result["baselines"]) == {"linear", "random"}
    assert result["seed"] == 0
    assert result["versions"].keys() >= {"python", "nasgym", "torch"}
    assert 0 < result["seconds"] < 240
    architecture = parse_architecture(result["architecture"])
    assert result["nsc"] == encode(architecture).tolist()
    assert result["architecture_id"] == architecture_id(architecture, DEFAULT.leaves)


def test_the_accuracies_are_those_of_the_weights(finished: FinishedSearch, photos: Path, cache: Path):
    result = json.loads((finished.out / "result.json").read_text())
    task = make_task(photos, size=16, cache_dir=cache)
    classifier = Classifier.load(finished.out / "best.pt")
    for part, name in (("validation", "validation_accuracy"), ("test", "test_accuracy")):
        predicted = classifier.probabilities(torch.from_numpy(task.images(part))).argmax(dim=1).numpy()
        assert result[name] == pytest.approx(np.mean(predicted == task.labels(part)))


def test_best_pt_holds_nothing_but_tensors_and_plain_values(finished: FinishedSearch):
    content = torch.load(finished.out / "best.pt", weights_only=True)
    assert content["metadata"]["class_names"] == ["chequered", "lying", "standing"]


def test_the_report_is_one_page_that_fetches_nothing(finished: FinishedSearch):
    page = (finished.out / "report.html").read_text()
    result = json.loads((finished.out / "result.json").read_text())
    assert result["architecture"] in page
    assert "nasgym search" in page
    assert 'src="http' not in page
    drawn = page[page.index("Best networks") :]
    assert drawn.index("chosen</span>") < drawn.index(">B</span>")


def test_the_store_holds_every_evaluation_and_the_finished_run(finished: FinishedSearch):
    with open_store(finished.folder / "runs" / "store.sqlite", create=False) as store:
        (run,) = store.runs()
        assert run.status is RunStatus.FINISHED
        assert run.result == json.loads(finished.said.out)
        assert [step.number for step in store.steps(run.id)] == list(range(5))
        assert store.phases(run.id) == ["final", "random", "search"]
        assert sum(row.key.epochs == 2 for row in store.evaluations(EvaluationQuery(failed=False))) == 8


def test_a_person_is_told_what_is_read_found_and_where_it_lies(finished: FinishedSearch):
    said = finished.said.err
    assert "photos: 3 classes, 36 training, 12 validation and 12 test images of 16 × 16 px, colour." in said
    assert "The search ends, since 5 networks were evaluated. Final training of 3 networks, one of them random" in said
    for name in ("report.html", "best.pt", "result.json"):
        assert f"runs/photos/{name}" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) < 40


def test_the_log_tells_what_happened_when(finished: FinishedSearch):
    log = (finished.folder / "search.log").read_text()
    for words in ("starts in runs/photos", "Network 5 is evaluated", ": accuracy ", "Final training of 3 networks"):
        assert words in log


def test_images_are_named_by_what_was_found(finished: FinishedSearch, photos: Path, prompt: Prompt):
    files = [photos / "lying" / "3.png", photos / "standing" / "4.png"]
    plain = prompt.run("predict", finished.out / "best.pt", *files, "--top", 2)
    assert (plain.code, plain.err) == (0, "")
    lines = [line.split("\t") for line in plain.out.splitlines()]
    assert [line[0] for line in lines] == [str(file) for file in files]
    assert all(len(line) == 3 and line[1].endswith("%") for line in lines)
    shown = json.loads(prompt.run("predict", finished.out / "best.pt", *files, "--top", 3, "--json").out)
    assert {entry["name"] for entry in shown[0]["classes"]} == {"chequered", "lying", "standing"}
    assert sum(entry["probability"] for entry in shown[0]["classes"]) == pytest.approx(1, abs=1e-3)


def test_python_and_one_process_give_the_same_as_the_command_and_two(finished, photos, prompt, monkeypatch):
    monkeypatch.chdir(prompt.folder)
    result = nasgym.search(
        str(photos), evaluations=5, epochs=2, final_epochs=2, finalists=2, size=16, workers=0, store="other.sqlite"
    )
    assert timeless(result.as_json()) == timeless(json.loads(finished.said.out))
    assert (Path(result.out) / "best.pt").exists()


def test_a_store_that_knows_the_networks_trains_none_again(finished, photos, prompt):
    shutil.copy(finished.folder / "runs" / "store.sqlite", "known.sqlite")
    said = prompt.run("search", photos, *QUICK, "--workers", 0, "--store", "known.sqlite", "--json", "-v")
    assert said.code == 0, said.err
    assert timeless(json.loads(said.out)) == timeless(json.loads(finished.said.out))
    assert said.err.count("(known): ") == 5


def test_a_finished_search_is_told_again_and_nothing_is_done(finished, photos, prompt, monkeypatch):
    monkeypatch.chdir(finished.folder)
    before = (finished.out / "report.html").stat().st_mtime_ns
    for place in ((), ("--out", "runs/photos")):
        said = prompt.run("search", photos, "--resume", "--json", *place)
        assert (said.code, said.out) == (0, finished.said.out)
        assert "The search in runs/photos is finished" in said.err
    assert (finished.out / "report.html").stat().st_mtime_ns == before
    assert nasgym.search(str(photos), resume=True).as_json() == json.loads(finished.said.out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "runs/photos"], "runs/photos holds a search already; go on with it by --resume"),
        (["--out", "runs/none", "--resume"], "runs/none holds no search to resume"),
        (["--resume", "--evaluations", 9], "is finished; it is too late to change its evaluations"),
        (["--resume", "--seed", 3, "--size", 64], "other settings: data.size (16, now 64), seed (0, now 3). Resume it"),
        (["--resume", "--max-parameters", 9], "other settings: limits.max_parameters (None, now 9). Resume it"),
    ],
)
def test_a_folder_in_use_and_other_settings_are_refused(finished, photos, prompt, monkeypatch, words, message):
    monkeypatch.chdir(finished.folder)
    said = prompt.run("search", photos, *words)
    assert said.code == 2
    assert said.err.startswith("Error: ")
    assert message in said.err


EVERY_SETTING = """
strategy = "random"
space = "multi-branch"
max_layers = 4
evaluations = 3
budget = "10m"
finalists = 1
final_epochs = 1
seed = 7
workers = 0
in_flight = 2
executor = "ray"
store = "kept.sqlite"
out = "everything"

[data]
source = "digits"
size = 16
labels = "labels.csv"
group_pattern = "{group}.png"
classes = ["1", "7"]
max_per_class = 30
fractions = [0.5, 0.25, 0.25]
split_seed = 3
strict = true

[ray]
address = "auto"
gpus_per_worker = 0.5

[limits]
max_parameters = 20000
max_flops = 9000000
max_memory = 90000

[evaluation]
profile = "default"
estimator = "training"
epochs = 1
samples = 24
reward = "blockqnn"
device = "cpu"
time_limit = "5m"
stopping = 0.001
"""


def test_a_file_can_hold_every_setting_and_options_go_on_top(prompt: Prompt, photos: Path):
    sections = {
        "data": DataSettings,
        "ray": RayWorkers,
        "limits": LimitSettings,
        "evaluation": EvaluationSettings,
    }
    named = {line.partition(" =")[0] for line in EVERY_SETTING.splitlines() if " = " in line}
    fields = SearchConfig.model_fields.keys() - sections
    assert named == fields.union(*(section.model_fields for section in sections.values()))

    Path("everything.toml").write_text(EVERY_SETTING)
    rows = [(path, path.parent.name) for path in sorted(photos.glob("*/*.png"))]
    written = [f"{path.parent.name}/{path.name},{'1' if name == 'lying' else '7'}" for path, name in rows]
    shutil.copytree(photos, "photos")
    Path("labels.csv").write_text("\n".join(["file,label", *written]))
    said = prompt.run("search", "photos", "--config", "everything.toml", "--seed", 8, "--max-layers", 3, "--json")
    assert said.code == 0, said.err
    result = json.loads(said.out)
    assert (result["seed"], result["evaluations"], result["out"]) == (8, 3, "everything")
    assert result["parameters"] <= 20000
    settings = json.loads(Path("everything/run.json").read_text())["settings"]
    assert (settings["max_layers"], settings["in_flight"], settings["data"]["classes"]) == (3, 2, ["1", "7"])
    assert Path("kept.sqlite").exists()


def test_a_subset_of_the_classes_is_searched(prompt: Prompt, photos: Path):
    words = ("--class", "lying", "--class", "standing", "--max-per-class", 15, "--evaluations", 1)
    said = prompt.run(
        "search", photos, *words, "--epochs", 1, "--final-epochs", 1, "--finalists", 1, "--workers", 0, "--size", 8
    )
    assert said.code == 0, said.err
    assert "photos: 2 classes, 18 training, 6 validation and 6 test images" in said.err
    assert Classifier.load("runs/photos/best.pt").metadata.class_names == ("lying", "standing")


@pytest.mark.slow
def test_ray_gives_the_same_as_processes_and_prints_nothing(finished: FinishedSearch, photos: Path, shell: Shell):
    said = shell.run("search", photos, *QUICK, "--workers", 2, "--executor", "ray", "--json")
    assert said.code == 0, said.err
    assert timeless(json.loads(said.out)) == timeless(json.loads(finished.said.out))
    assert "ray" not in said.err.lower()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ray-address", "127.0.0.1:1"], "No Ray at '127.0.0.1:1': [Errno 111] Connection refused."),
        (["--executor", "kubernetes"], "'executor' is 'kubernetes': input should be 'processes' or 'ray'."),
        (["--gpus-per-worker", -1], "'ray.gpus_per_worker' is -1.0: input should be greater than or equal to 0."),
    ],
)
def test_a_ray_that_is_not_there_and_wrong_settings_are_named(photos: Path, shell: Shell, words, message):
    said = shell.run("search", photos, *QUICK, "--workers", 1, *words)
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err
