"""B1 and B2 of `benchmarks.evaluate`: what one writes with PyTorch. Frozen: a change here moves every published ratio.

B1: eager fp32, NCHW, a `DataLoader` over decoded tensors, AdamW as it comes, the networks one after the other with
torch's own threads. B2: the same with channels last, bf16 autocast, and two processes of one thread that share the
list.

`python -m benchmarks.baseline_pytorch IMAGES.npz NETWORKS.json RESULT.json [--loaders N] [--fast]`; the images
hold `train`, `train_labels`, `validation`, `validation_labels`.
"""

import argparse
import json
import math
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from nasgym.architectures import parse_architecture
from nasgym.networks.nodes import Addition, Concatenation, Convolutions, Node, Pooling
from nasgym.networks.plan import Plan, plan
from nasgym.networks.profiles import DEFAULT

EPOCHS, BATCH, RATE, WARM_UP, DECAY = 3, 32, 2e-2, 0.25, 0.05


class Layer(nn.Module):
    """ReLU, convolution and BatchNorm."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        assert isinstance(node.computes, Convolutions)
        (step,) = node.computes.steps
        self.relu = step.relu
        kernel = step.window.kernel
        self.conv = nn.Conv2d(step.channels, step.shape[0], kernel, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        self.norm = nn.BatchNorm2d(step.shape[0])

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature map."""
        result: Tensor = self.norm(self.conv(functional.relu(images) if self.relu else images))
        return result


class Merge(nn.Module):
    """Addition or concatenation, padded with zeros."""

    def __init__(self, computes: Addition | Concatenation) -> None:
        super().__init__()
        self.adds, self.zeros = isinstance(computes, Addition), computes.zeros

    def forward(self, *images: Tensor) -> Tensor:
        """Return the feature map."""
        padded = [
            functional.pad(image, zeros) if any(zeros) else image
            for image, zeros in zip(images, self.zeros, strict=True)
        ]
        return padded[0] + padded[1] if self.adds else torch.cat(padded, dim=1)


def module(node: Node) -> nn.Module:
    """Return the module of one node."""
    match node.computes:
        case Convolutions():
            return Layer(node)
        case Pooling(window, average):
            return nn.AvgPool2d(window.kernel) if average else nn.MaxPool2d(window.kernel)
        case Addition() | Concatenation():
            return Merge(node.computes)
        case _:
            return nn.Identity()


class Network(nn.Module):
    """A planned network in plain modules."""

    def __init__(self, planned: Plan) -> None:
        super().__init__()
        self.inputs = [node.inputs for node in planned.nodes]
        self.layers = nn.ModuleList(module(node) for node in planned.nodes)
        self.relu = planned.head.relu
        self.classifier = nn.Linear(planned.head.n_features, planned.n_classes)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores."""
        outputs: list[Tensor] = []
        for layer, inputs in zip(self.layers, self.inputs, strict=True):
            outputs.append(layer(*(outputs[source] for source in inputs)) if inputs else layer(images))
        last = functional.relu(outputs[-1]) if self.relu else outputs[-1]
        scores: Tensor = self.classifier(torch.cat([last.mean(dim=(2, 3)), last.amax(dim=(2, 3))], dim=1))
        return scores


def decoded(file: Path) -> tuple[TensorDataset, TensorDataset]:
    """Return training and validation images as standardised fp32 tensors, NCHW."""
    held = np.load(file)
    train, validation = (torch.from_numpy(held[name]).permute(0, 3, 1, 2).float() for name in ("train", "validation"))
    mean, deviation = train.mean(dim=(0, 2, 3), keepdim=True), train.std(dim=(0, 2, 3), keepdim=True)
    train_labels, validation_labels = (torch.from_numpy(held[f"{name}_labels"]) for name in ("train", "validation"))
    return (
        TensorDataset(((train - mean) / deviation).contiguous(), train_labels),
        TensorDataset(((validation - mean) / deviation).contiguous(), validation_labels),
    )


def trained(text: str, data: tuple[TensorDataset, TensorDataset], loaders: int, fast: bool) -> float:
    """Train one network and return its validation accuracy after the last epoch."""
    torch.manual_seed(0)
    train = DataLoader(data[0], BATCH, shuffle=True, num_workers=loaders, persistent_workers=loaders > 0)
    validation = DataLoader(data[1], 512)
    network: nn.Module = Network(plan(parse_architecture(text), (32, 32, 3), 10, DEFAULT))
    if fast:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch types modules by device only
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}], lr=RATE
    )
    n_steps = EPOCHS * len(train)
    rising = round(WARM_UP * n_steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (
            (step + 1) / rising
            if step < rising
            else 0.5 * (1 + math.cos(math.pi * (step - rising) / (n_steps - rising)))
        ),
    )
    accuracy = 0.0
    for _ in range(EPOCHS):
        network.train()
        for images, labels in train:
            if fast:
                images = images.contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=fast):
                loss = functional.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        correct = 0
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=fast):
            for images, labels in validation:
                correct += int((network(images).argmax(1) == labels).sum())
        accuracy = correct / len(data[1])
    return accuracy


def run(images: Path, queue: Any, results: Any, loaders: int, fast: bool, threads: int | None) -> None:
    """Train networks from `queue` until it is empty; put text, accuracy, seconds, processor seconds into `results`."""
    if threads is not None:
        torch.set_num_threads(threads)
    data = decoded(images)
    while (text := queue.get()) is not None:
        started = time.perf_counter(), time.process_time()
        accuracy = trained(text, data, loaders, fast)
        results.put((text, accuracy, time.perf_counter() - started[0], time.process_time() - started[1]))


def main() -> None:
    """Read the arguments, train, write (architecture, accuracy, seconds) for each network."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baseline_pytorch", description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("networks", type=Path, help="JSON list of architectures")
    parser.add_argument("result", type=Path)
    parser.add_argument("--loaders", type=int, default=0)
    parser.add_argument("--threads", type=int, help="of torch, in B1; torch's own number unless given")
    parser.add_argument("--fast", action="store_true", help="B2")
    options = parser.parse_args()
    texts = json.loads(options.networks.read_text(encoding="utf-8"))
    context = multiprocessing.get_context("spawn")
    processes = 2 if options.fast else 1
    queue, results = context.Queue(), context.Queue()
    for item in (*texts, *(None,) * processes):
        queue.put(item)
    settings = (options.images, queue, results, options.loaders, options.fast)
    if options.fast:
        workers = [context.Process(target=run, args=(*settings, 1)) for _ in range(processes)]
        for worker in workers:
            worker.start()
        done = [results.get() for _ in texts]
        for worker in workers:
            worker.join()
    else:
        run(*settings, options.threads)
        done = [results.get() for _ in texts]
    options.result.write_text(json.dumps(done), encoding="utf-8")


if __name__ == "__main__":
    main()
