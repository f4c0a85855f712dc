"""Architectures: frozen values, their encodings, their canonical ids and the spaces they live in. No torch."""

from nasgym.architectures.architecture import Architecture, Header, Layer
from nasgym.architectures.canonical import LeafMerge, architecture_id, canonical
from nasgym.architectures.nsc import decode, encode
from nasgym.architectures.operations import Augmentation, Operation
from nasgym.architectures.skeletons import Skeleton
from nasgym.architectures.text import format_architecture, parse_architecture

__all__ = [
    "Architecture",
    "Augmentation",
    "Header",
    "Layer",
    "LeafMerge",
    "Operation",
    "Skeleton",
    "architecture_id",
    "canonical",
    "decode",
    "encode",
    "format_architecture",
    "parse_architecture",
]
