"""What people get wrong: one line that says what it is and what to do, exit code 2, and nothing lost or littered."""

import json
import resource
import shutil
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from terminal import Prompt

from nasgym.store import RunStatus, open_store

TINY = ("--evaluations", 2, "--epochs", 1, "--final-epochs", 1, "--finalists", 1, "--workers", 0)
TYPO = """nasenv:
    name: Typo
    version: 1.0
    max_nlayers: 4
    encoding: NSC
    layers:
        - convolution: {id: 1, kernel_sizes: [1, 3], pred1: True, pred2: False}
        - terminal: {id: 7, kernel_size: Null, pred1: False, pred2: False}
"""


@pytest.fixture
def strange(prompt: Prompt, photos: Path) -> Path:
    """Folder of things that are no data sets, which is also where commands are typed."""
    Path("empty").mkdir()
    shutil.copytree(photos / "lying", "one/lying")
    for name in ("a", "b"):
        Path("text", name).mkdir(parents=True)
        for number in range(8):
            Path("text", name, f"{number}.png").write_text("not an image")
    with zipfile.ZipFile("up.zip", "w") as archive:
        for number in range(8):
            archive.write(photos / "lying" / f"{number}.png", f"../a/{number}.png")
            archive.write(photos / "standing" / f"{number}.png", f"../b/{number}.png")
    Path("typo.yaml").write_text(TYPO)
    Path("typo.toml").write_text('strateggy = "random"\n')
    Path("no.toml").write_text("strategy = \n")
    Path("no.pt").write_text("weights")
    return prompt.folder


SEARCHES = [
    ([], "'data' is missing: name a folder, archive or file of images"),
    (["nowhere"], "nowhere"),
    (["empty"], "empty"),
    (["one"], "two classes"),
    (["text"], "text"),
    (["up.zip"], "../a/0.png"),
    (["PHOTOS", "--space", "chian"], "Did you mean 'chain'?"),
    (["PHOTOS", "--space", "typo.yaml"], "'kernel_sizes'"),
    (["PHOTOS", "--profile", "papre"], "Did you mean 'paper'?"),
    (["PHOTOS", "--strategy", "evoluton"], "Did you mean 'evolution'?"),
    (["PHOTOS", "--estimator", "trainig"], "Did you mean 'training'?"),
    (["PHOTOS", "--device", "gpu"], "Device 'gpu' is unknown; choose auto, cpu, cuda"),
    (["PHOTOS", "--budget", "15x"], "'budget' is '15x': a duration looks like 90s, 15m or 1h30m."),
    (["PHOTOS", "--evaluations", "0"], "'evaluations' is 0: input should be greater than or equal to 1."),
    (["PHOTOS", "--class", "sitting"], "sitting"),
    (["PHOTOS", "--config", "none.toml"], "Cannot read configuration file none.toml: No such file"),
    (["PHOTOS", "--config", "no.toml"], "no.toml is not TOML"),
    (["PHOTOS", "--config", "typo.toml"], "In typo.toml: unknown key 'strateggy'. Did you mean 'strategy'?"),
    (["PHOTOS", "--group-pattern", "{group}_*"], "Group pattern '{group}_*' does not fit"),
    (["PHOTOS", "--out", "no.pt/under"], "Cannot make the folder no.pt/under: Not a directory; choose another --out."),
    (["PHOTOS", "--store", "no.pt"], "it is not a database: name another file, or move this one away"),
    (["PHOTOS", "--resume"], "No search on 'PHOTOS' under runs/ to resume; name its folder with --out."),
    (["--resume"], "Nothing says which search to resume: name its data, or its folder with --out."),
]


@pytest.mark.parametrize(("words", "message"), SEARCHES, ids=[" ".join(words) or "nothing" for words, _ in SEARCHES])
def test_a_search_that_cannot_be_is_refused_before_anything_is_begun(strange, photos, prompt, words, message):
    Path("PHOTOS").symlink_to(photos)
    said = prompt.run("search", *words)
    assert said.code == 2
    assert message in said.err
    assert said.err.count("Error: ") == 1
    assert "Traceback" not in said.err
    assert said.out == ""
    assert not list(Path("runs").glob("*/*"))


OTHERS = [
    (["evaluate", "PHOTOS", "-a", "conv3 konv3"], "konv3"),
    (["evaluate", "PHOTOS", "-a", "add(1,2)"], "Layer 1 (add) takes its input from layer 1; only 0"),
    (["evaluate", "PHOTOS", "-a", "conv3", "--profile", "papre"], "Did you mean 'paper'?"),
    (["evaluate", "PHOTOS", "-a", "vgg19-like", "--profile", "paper"], "leave --profile out"),
    (["evaluate", "PHOTOS", "-a", "conv3", "--device", "gpu"], "Device 'gpu' is unknown"),
    (["evaluate", "nowhere", "-a", "conv3"], "nowhere"),
    (["predict", "no.pt", "empty"], "no.pt: not a checkpoint of nasgym"),
    (["predict", "none.pt", "empty"], "none.pt: cannot be read: No such file or directory"),
    (["--log-file", "empty", "space", "list"], "cannot write empty: Is a directory"),
    (["search", "PHOTOS", "--evaluatons", "3"], "No such option: --evaluatons"),
    (["serach"], "No such command 'serach'"),
]


@pytest.mark.parametrize(("words", "message"), OTHERS, ids=[" ".join(words) for words, _ in OTHERS])
def test_other_commands_refuse_in_the_same_way(strange, photos, prompt, words, message):
    Path("PHOTOS").symlink_to(photos)
    said = prompt.run(*words)
    assert said.code == 2
    assert message in " ".join(said.err.replace("│", " ").split())
    assert "Traceback" not in said.err


def test_a_network_that_shrinks_below_a_pixel_is_told_by_its_layer(photos, prompt):
    said = prompt.run("evaluate", photos, "--profile", "paper", "-a", " ".join(["maxpool2"] * 10), "--workers", 0)
    assert said.code == 2
    assert said.err.startswith("Error: maxpool2 maxpool2 ")
    assert "cannot be trained on photos. Layer 6 (maxpool2) needs at least 2×2 pixels and gets 1×1" in said.err
    assert "Use fewer poolings" in said.err
    assert not list(Path("runs").glob("*/*"))


def test_a_file_that_is_no_image_is_named_by_predict(finished, photos, prompt):
    Path("note.png").write_text("not an image")
    said = prompt.run("predict", finished.out / "best.pt", photos / "lying" / "1.png", "note.png")
    assert said.code == 2
    assert said.err.startswith("Error: note.png: ")
    assert "Give image files, such as PNG or JPEG." in said.err
    assert said.out == ""


def test_limits_that_no_network_keeps_end_the_search_with_the_remedy(photos, prompt):
    said = prompt.run("search", photos, *TINY, "--max-parameters", 1)
    assert said.code == 2
    assert "None of 0 networks could be evaluated" in said.err
    assert "Relax the limits" in said.err


@contextmanager
def largest_file(size: int):
    """Let no file grow beyond `size` bytes, as on a disk that is nearly full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_said_and_the_search_goes_on_when_there_is_room(photos, prompt, finished):
    with largest_file(20_000):
        nothing = prompt.run("search", photos, *TINY, "--size", 16)
    assert nothing.code == 2
    assert nothing.err.splitlines()[-1].startswith("Error: Store ")
    assert "Traceback" not in nothing.err

    shutil.rmtree("runs")
    prompt.run("store", "ls", "--store", "runs/store.sqlite")
    with largest_file(1_000_000):  # enough for the store, not for the dense layer of 1024 units
        full = prompt.run("search", photos, *TINY, "--size", 16, "--profile", "paper", "--out", "out")
    assert full.code == 2
    assert "Traceback" not in full.err
    assert "File too large" in full.err
    with open_store("runs/store.sqlite") as store:
        (run,) = store.runs()
        assert run.status is RunStatus.FAILED
        assert len(list(store.steps(run.id))) == 2

    roomy = prompt.run("search", "--out", "out", "--resume", "--json")
    assert roomy.code == 0, roomy.err
    assert json.loads(roomy.out)["evaluations"] == 2
