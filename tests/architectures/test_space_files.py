"""Search-space files: NASGym's own, edited ones, and everything that can be wrong in one."""

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from space_texts import CHAIN_FILE, EDGE_FILE, MULTI_BRANCH_FILE, OLDER_FILE, OLDEST_FILE

from nasgym.architectures.spaces import BUILT_IN, load_space, space_from_text
from nasgym.core import plugins
from nasgym.core.errors import ConfigurationError, PluginError


def meanings(text: str, kind: str | None = None) -> list[str]:
    space = space_from_text(text, kind=kind)
    return [space.describe(action) for action in range(len(space.actions))]


@pytest.mark.parametrize(
    ("text", "kind", "actions"),
    [
        (CHAIN_FILE, "chain", 8),
        (MULTI_BRANCH_FILE, "multi-branch", 14),
        (OLDEST_FILE, "multi-branch", 14),
        (OLDER_FILE, "multi-branch", 15),
    ],
    ids=["chain", "multi-branch", "older", "older with identity"],
)
def test_files_of_nasgym_load_unchanged(text: str, kind: str, actions: int) -> None:
    space = space_from_text(text)
    assert (space.kind, len(space.actions), space.max_layers) == (kind, actions, 10)


def test_files_of_nasgym_make_explicit_spaces_too() -> None:
    assert len(space_from_text(MULTI_BRANCH_FILE, kind="explicit").actions) == 161
    assert len(space_from_text(OLDER_FILE, kind="explicit").actions) == 171
    assert len(space_from_text(CHAIN_FILE, kind="explicit").actions) == 71


def test_the_chain_space_ignores_operations_of_two_inputs() -> None:
    assert meanings(MULTI_BRANCH_FILE, "chain") == meanings(CHAIN_FILE)


def test_ids_follow_the_order_of_the_file() -> None:
    assert meanings(OLDER_FILE)[:9] == [
        "conv1 on p1",
        "conv3 on p1",
        "conv5 on p1",
        "maxpool1 on p1",
        "maxpool3 on p1",
        "avgpool1 on p1",
        "avgpool3 on p1",
        "identity on p1",
        "terminal",
    ]
    swapped = CHAIN_FILE.replace("[1, 3, 5]", "[5, 1]")
    assert meanings(swapped) == ["conv5", "conv1", "maxpool2", "maxpool3", "avgpool2", "avgpool3", "terminal"]


def test_spaces_that_come_with_the_package_are_those_of_the_files() -> None:
    for name, text, kind in (
        ("chain", CHAIN_FILE, "chain"),
        ("multi-branch", MULTI_BRANCH_FILE, "multi-branch"),
        ("explicit", MULTI_BRANCH_FILE, "explicit"),
    ):
        assert load_space(name).actions == space_from_text(text, kind=kind).actions
        assert load_space(name).name == name


def test_every_built_in_name_loads() -> None:
    for name in BUILT_IN:
        assert load_space(name).name == name


def test_depth_can_be_given_in_place_of_the_files() -> None:
    assert load_space("chain", max_layers=3).max_layers == 3
    for wrong in (0, 101, True, 2.5):
        with pytest.raises(ConfigurationError, match=f"max_layers: {wrong} is not a whole number from 1 to 100"):
            load_space("chain", max_layers=wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_another_kind_of_a_built_in_space_is_named_after_the_kind() -> None:
    assert load_space("multi-branch", kind="explicit").name == "explicit"


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "space.yml"
    file.write_text(CHAIN_FILE.replace("Default Environment", "My space"), encoding="utf-8")
    assert load_space(file).name == load_space(str(file)).name == "My space"
    assert load_space(file, kind="explicit", max_layers=2).kind == "explicit"


CONVOLUTION = "nasenv.layers[0].convolution"

EDITS: list[tuple[str, str, str]] = [
    ("nasenv:", "nasgym:", "space.yml: unknown key 'nasgym' (known: nasenv). Did you mean 'nasenv'?"),
    ("    max_nlayers: 10\n", "", "space.yml: nasenv: key 'max_nlayers' is missing; add it."),
    ("    encoding: NSC\n", "", "nasenv: key 'encoding' is missing; add it."),
    ("    name: Default Environment\n", "", "nasenv: key 'name' is missing; add it."),
    ("max_nlayers", "max_layers", "nasenv: unknown key 'max_layers' (known: name, max_nlayers, encoding, layers"),
    ("max_nlayers", "max_layers", "Did you mean 'max_nlayers'?"),
    ("max_nlayers: 10", "max_nlayers: 0", "nasenv.max_nlayers: 0 is not a whole number from 1 to 100."),
    ("max_nlayers: 10", "max_nlayers: 101", "nasenv.max_nlayers: 101 is not a whole number from 1 to 100."),
    ("max_nlayers: 10", "max_nlayers: ten", "nasenv.max_nlayers: 'ten' is not a whole number"),
    ("max_nlayers: 10", "max_nlayers: 10.0", "nasenv.max_nlayers: 10.0 is not a whole number"),
    ("max_nlayers: 10", "max_nlayers: True", "nasenv.max_nlayers: True is not a whole number"),
    ("max_nlayers: 10", "max_nlayers:", "nasenv.max_nlayers: None is not a whole number"),
    ("encoding: NSC", "encoding: one-hot", "nasenv.encoding: 'one-hot' is unknown; write NSC."),
    ("name: Default Environment", "name: 7", "nasenv.name: 7 is not a name; write a text."),
    ("name: Default Environment", "name: ''", "nasenv.name: '' is not a name"),
    ("version: 1.0", "version: [1]", "nasenv.version: [1] is not a number or a text."),
    ("- convolution:", "- convolutoin:", "nasenv.layers[0]: unknown operation 'convolutoin' (known: convolution, max"),
    ("- convolution:", "- convolutoin:", "Did you mean 'convolution'?"),
    ("- maxpooling:", "- convolution:", "nasenv.layers[1]: 'convolution' is there twice; keep one entry."),
    ("kernel_size: [1, 3, 5]", "kernel_sizes: [1, 3, 5]", f"{CONVOLUTION}: unknown key 'kernel_sizes'"),
    ("kernel_size: [1, 3, 5]", "kernel_sizes: [1, 3, 5]", "Did you mean 'kernel_size'?"),
    ("            kernel_size: [1, 3, 5]\n", "", f"{CONVOLUTION}: key 'kernel_size' is missing; add it."),
    ("            id: 1\n", "", f"{CONVOLUTION}: key 'id' is missing; add it."),
    ("[1, 3, 5]", "[]", f"{CONVOLUTION}.kernel_size: [] is not a list of kernel sizes such as [1, 3]."),
    ("[1, 3, 5]", "3", f"{CONVOLUTION}.kernel_size: 3 is not a list of kernel sizes"),
    ("[1, 3, 5]", "Null", f"{CONVOLUTION}.kernel_size: None is not a list of kernel sizes"),
    ("[1, 3, 5]", "[0, 3]", f"{CONVOLUTION}.kernel_size: 0 is not a kernel size; write whole numbers from 1 to 63."),
    ("[1, 3, 5]", "[3, -1]", f"{CONVOLUTION}.kernel_size: -1 is not a kernel size"),
    ("[1, 3, 5]", "[3, 64]", f"{CONVOLUTION}.kernel_size: 64 is not a kernel size"),
    ("[1, 3, 5]", "[True]", f"{CONVOLUTION}.kernel_size: True is not a kernel size"),
    ("[1, 3, 5]", "[3.0]", f"{CONVOLUTION}.kernel_size: 3.0 is not a kernel size"),
    ("[1, 3, 5]", "['3']", f"{CONVOLUTION}.kernel_size: '3' is not a kernel size"),
    ("[1, 3, 5]", "[[3]]", f"{CONVOLUTION}.kernel_size: [3] is not a kernel size"),
    ("[1, 3, 5]", "[3, 5, 3]", f"{CONVOLUTION}.kernel_size: 3 is there twice; keep one."),
    ("id: 1\n", "id: 2\n", f"{CONVOLUTION}.id: 2 is wrong; its NSC code is 1."),
    ("id: 1\n", "id: True\n", f"{CONVOLUTION}.id: True is wrong; its NSC code is 1."),
    ("id: 1\n", "id: '1'\n", f"{CONVOLUTION}.id: '1' is wrong; its NSC code is 1."),
    ("pred1: True", "pred1: False", f"{CONVOLUTION}.pred1: False is wrong; it takes 1 predecessor(s), so write True."),
    ("pred2: False", "pred2: True", f"{CONVOLUTION}.pred2: True is wrong; it takes 1 predecessor(s), so write False."),
    ("pred1: True", "pred1: 1", f"{CONVOLUTION}.pred1: 1 is wrong"),
    ("pred1: True", "pred1: maybe", f"{CONVOLUTION}.pred1: 'maybe' is wrong"),
    (
        "id: 7\n            kernel_size: Null",
        "id: 7\n            kernel_size: [1]",
        "terminal.kernel_size: [1] is wrong; it has no kernel, so write Null.",
    ),
    (
        "            pred2: False\n        - max",
        "            pred2: False\n            pred3: True\n        - max",
        "pred3",
    ),
    (
        "pred2: False\n        - max",
        "pred2: False\n            residual: True\n        - max",
        "needs a 'header' section",
    ),
    (
        "pred2: False\n        - max",
        "pred2: False\n            residual: 1\n        - max",
        "1 is neither True nor False",
    ),
    (
        "- convolution:\n            id: 1\n",
        "- separable:\n            id: 8\n",
        "'separable' needs a 'header' section",
    ),
    (
        "            id: 1\n",
        "            id: 1\n            id: 1\n",
        "space.yml, line 9, column 13: not valid YAML: key 'id'",
    ),
    ("    encoding: NSC\n", "    encoding: NSC\n    name: Again\n", "key 'name' is there twice; keep one."),
    ("encoding: NSC", "encoding: [NSC", "space.yml, line 6, column 11: not valid YAML"),
    ("encoding: NSC", "encoding: !!python/name:os.system NSC", "could not determine a constructor for the tag"),
    ("encoding: NSC", "encoding: 2001-99-99", "nasenv.encoding: '2001-99-99' is unknown"),
    ("encoding: NSC", "encoding: !!int ''", "space.yml: not valid YAML"),
    ("encoding: NSC", "encoding: !!bool perhaps", "space.yml: not valid YAML"),
    ("encoding: NSC", "encoding: " + "[" * 3_000, "space.yml: not valid YAML: nested too deeply."),
    (
        "encoding: NSC",
        "encoding: NSC\n    ? [a, b]\n    : c",
        "not valid YAML: while constructing a mapping, found unhashable key",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), EDITS, ids=[message[-60:] for _, _, message in EDITS])
def test_a_wrong_file_is_refused_by_file_key_and_value(old: str, new: str, message: str) -> None:
    assert old in OLDER_FILE
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        space_from_text(OLDER_FILE.replace(old, new, 1), source="space.yml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "space.yml: None is not a mapping with the keys nasenv."),
        ("- nasenv", "space.yml: ['nasenv'] is not a mapping"),
        ("nasenv: 3", "space.yml: nasenv: 3 is not a mapping with the keys name, max_nlayers"),
        ("nasenv: {}\n---\nnasenv: {}", "expected a single document"),
        ("\x00", "not valid YAML"),
        (CHAIN_FILE[: CHAIN_FILE.index("        - conv")], "nasenv.layers: None is not a list of entries such as"),
        (
            CHAIN_FILE[: CHAIN_FILE.index("        - conv")] + "        - terminal",
            "layers[0]: 'terminal' is not one operation",
        ),
        (CHAIN_FILE.replace("        - maxp", "          maxp"), "layers[0]: {"),
        (
            CHAIN_FILE[: CHAIN_FILE.index("        - terminal")],
            "layers: 'terminal' is missing; add '- terminal: {id: 7",
        ),
        (
            CHAIN_FILE[: CHAIN_FILE.index("        - conv")] + CHAIN_FILE[CHAIN_FILE.index("        - terminal") :],
            "no operation with one predecessor; add a convolution or a pooling",
        ),
    ],
)
def test_a_text_of_another_shape_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        space_from_text(text, source="space.yml")


def test_a_file_with_a_header_makes_an_edge_or_a_joint_space() -> None:
    assert space_from_text(EDGE_FILE).kind == "joint"
    lines = EDGE_FILE.splitlines(keepends=True)
    without_training = "".join(line for line in lines if "augmentation" not in line and "dropout" not in line)
    assert space_from_text(without_training).kind == "edge"
    assert meanings(without_training) == [
        "stem=1",
        "stem=2",
        "width=8",
        "width=16",
        "conv3",
        "conv3+",
        "downconv3",
        "terminal",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "- stem:",
            "- stems:",
            "nasenv.header[0]: unknown operation 'stems' (known: stem, width, augmentation, dropout)",
        ),
        ("id: 10", "id: 11", "nasenv.header[0].stem.id: 11 is wrong; its NSC code is 10."),
        ("[1, 2]", "[0, 2]", "nasenv.header[0].stem.values: 0 is not a whole number from 1 to 8."),
        ("[1, 2]", "[2, 2]", "nasenv.header[0].stem.values: 2 is there twice; keep one."),
        ("[1, 2]", "[]", "nasenv.header[0].stem.values: [] is not a list of choices."),
        ("[8, 16]", "[8, wide]", "nasenv.header[1].width.values: 'wide' is not a whole number from 1 to 1024."),
        ("shift-flip", "flip", "augmentation.values: 'flip' is not an augmentation (known: none, shift, shift-flip"),
        ("shift-flip", "flip", "Did you mean 'shift-flip'?"),
        ("[0, 30]", "[0, 0.3]", "dropout.values: 0.3 is not a whole number from 0 to 99."),
        (
            "values: [0, 30]",
            "value: [0, 30]",
            "dropout: unknown key 'value' (known: id, values). Did you mean 'values'?",
        ),
        ("        - stem: {id: 10, values: [1, 2]}\n", "", "nasenv.header: 'stem' is missing; add it."),
        ("        - width: {id: 11, values: [8, 16]}\n", "", "nasenv.header: 'width' is missing; add it."),
        (
            "pred2: False}\n        - terminal",
            "pred2: False, residual: True}\n        - terminal",
            "nasenv.layers[1].reduction.residual: only convolution and separable can be residual; write False.",
        ),
        (
            "        - terminal",
            "        - add: {id: 5, kernel_size: Null, pred1: True, pred2: True}\n        - terminal",
            "'add' takes two predecessors; a space with a header makes chains.",
        ),
    ],
)
def test_a_wrong_header_is_refused_by_key_and_value(old: str, new: str, message: str) -> None:
    assert old in EDGE_FILE
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        space_from_text(EDGE_FILE.replace(old, new, 1), source="space.yml")


def test_a_kind_that_the_file_does_not_make_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read as kind 'chain'; it makes joint"):
        space_from_text(EDGE_FILE, kind="chain")
    with pytest.raises(
        ConfigurationError, match="cannot be read as kind 'edge'; it makes chain, multi-branch, explicit"
    ):
        space_from_text(CHAIN_FILE, kind="edge")
    with pytest.raises(ConfigurationError, match=r"Unknown kind of search space 'tree' .* explicit"):
        space_from_text(CHAIN_FILE, kind="tree")


def test_a_space_that_does_not_exist_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"No search space 'multibranch': .* Did you mean 'multi-branch'\?"):
        load_space("multibranch")
    with pytest.raises(ConfigurationError, match="it is neither a file nor one of chain, multi-branch, explicit"):
        load_space(tmp_path / "missing.yml")
    with pytest.raises(ConfigurationError, match="cannot be read as a search-space file"):
        load_space(tmp_path)
    binary = tmp_path / "space.yml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"space\.yml: cannot be read as a search-space file"):
        load_space(binary)
    with pytest.raises(ConfigurationError, match="cannot be read as a search-space file"):
        load_space("\x00")


def test_a_fixed_space_takes_no_options() -> None:
    with pytest.raises(ConfigurationError, match="Search space 'edge-mini' is fixed: leave out kind and max_layers"):
        load_space("edge-mini", max_layers=3)


class InstalledPlugins:
    """Stands for the entry points of installed packages."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.points: list[EntryPoint] = []
        monkeypatch.setattr(plugins, "entry_points", lambda group: [p for p in self.points if p.group == group])

    def add(self, name: str, value: str) -> None:
        self.points.append(EntryPoint(name, value, "nasgym.spaces"))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> InstalledPlugins:
    return InstalledPlugins(monkeypatch)


def test_a_space_of_an_installed_package_is_found_by_name(installed: InstalledPlugins) -> None:
    installed.add("tiny", "nasgym.architectures.spaces:EdgeMiniSpace")
    assert load_space("tiny").actions == load_space("edge-mini").actions
    with pytest.raises(ConfigurationError, match="Search space 'tiny' is fixed"):
        load_space("tiny", kind="chain")
    with pytest.raises(ConfigurationError, match=r"neither a file nor one of .*, tiny\. Did you mean 'tiny'\?"):
        load_space("tinny")


def test_a_plug_in_that_is_no_space_is_refused(installed: InstalledPlugins) -> None:
    installed.add("wrong", "builtins:dict")
    installed.add("absent", "nasgym.no_such_module:Space")
    with pytest.raises(PluginError, match=r"Plug-in 'wrong' of 'nasgym.spaces' gave \{\}; it must be a callable"):
        load_space("wrong")
    with pytest.raises(PluginError, match=r"Plug-in 'absent' .* cannot be imported"):
        load_space("absent")
