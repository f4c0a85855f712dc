from math import prod

from hypothesis import given
from hypothesis import strategies as st
from network_strategies import SMALL_PROFILES, architectures, input_shapes

from nasgym.architectures import Architecture, parse_architecture
from nasgym.core.errors import PlanError
from nasgym.networks.nodes import Convolutions, Identity
from nasgym.networks.plan import Plan, plan
from nasgym.networks.profiles import DEFAULT, NetworkProfile


def peak_by_intervals(result: Plan) -> int:
    """Peak from first principles: every tensor lives from its birth to its last reading; try every moment."""
    height, width, channels = result.input_shape
    sizes, births, readings = [height * width * channels], [0], [[]]
    now, holds = 0, {}

    def write(size: int, read: list[int]) -> int:
        nonlocal now
        now += 1
        for tensor in read:
            readings[tensor].append(now)
        sizes.append(size)
        births.append(now)
        readings.append([])
        return len(sizes) - 1

    for node in result.nodes:
        read = [holds[source] for source in node.inputs]
        if isinstance(node.computes, Convolutions):
            first = tensor = read[0] if read else 0
            for step in node.computes.steps[:-1]:
                tensor = write(prod(step.shape), [tensor])
            holds[node.index] = write(prod(node.shape), [tensor] + [first] * node.computes.residual)
        elif node.index == 0:
            holds[0] = 0
        elif isinstance(node.computes, Identity):
            holds[node.index] = read[0]
        else:
            holds[node.index] = write(prod(node.shape), read)
    tensor = holds[result.nodes[-1].index]
    if result.head.pools:
        tensor = write(result.head.layers[0].inputs, [tensor])
    for dense in result.head.layers:
        tensor = write(dense.outputs, [tensor])
    deaths = [max(read, default=birth) for read, birth in zip(readings, births, strict=True)]
    return max(
        sum(size for size, birth, death in zip(sizes, births, deaths, strict=True) if birth <= moment <= death)
        for moment in range(now + 1)
    )


@given(architectures(), input_shapes, st.sampled_from(SMALL_PROFILES))
def test_peak_activations_equal_those_of_brute_force(
    architecture: Architecture, shape: tuple[int, int, int], profile: NetworkProfile
) -> None:
    try:
        result = plan(architecture, shape, 3, profile)
    except PlanError:
        return
    assert result.peak_activations == peak_by_intervals(result)


def test_a_branch_that_waits_for_a_merge_stays_in_memory() -> None:
    chain = plan(parse_architecture("conv3 conv3 conv3"), (8, 8, 3), 3, DEFAULT)
    graph = plan(parse_architecture("conv3(0) conv3(1) conv3(2) add(1,3)"), (8, 8, 3), 3, DEFAULT)
    assert chain.peak_activations == 2 * 16 * 64
    assert graph.peak_activations == 3 * 16 * 64


def test_an_identity_costs_no_memory() -> None:
    with_it = plan(parse_architecture("conv3 identity conv3"), (8, 8, 3), 3, DEFAULT)
    without = plan(parse_architecture("conv3 conv3"), (8, 8, 3), 3, DEFAULT)
    assert with_it.memory == without.memory


def test_the_image_counts_until_its_last_reader_has_run() -> None:
    late = plan(parse_architecture("conv3(0) conv3(1) conv3(0)"), (8, 8, 3), 3, DEFAULT)
    assert late.peak_activations == max(3 * 64 + 3 * 16 * 64, 4 * 16 * 64)
