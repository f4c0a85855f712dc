"""The published networks, as literal values."""

from nasgym.architectures import decode, parse_architecture

FIGURE_21A = [
    [1, 1, 5, 0, 0], [2, 1, 5, 1, 0], [3, 3, 3, 2, 0], [4, 1, 5, 3, 0], [5, 2, 2, 4, 0],
    [6, 2, 2, 4, 0], [7, 2, 2, 5, 0], [8, 1, 5, 6, 0], [9, 2, 2, 7, 0], [10, 3, 3, 8, 0],
]  # fmt: skip
BEST_OF_THE_PAPER = [
    ("18a", parse_architecture("conv5 maxpool3 conv1 conv5 conv1 conv5 conv1 maxpool2 avgpool3"), 3),
    ("18b", parse_architecture("conv3 conv3 maxpool2 maxpool2 maxpool2 maxpool2"), 5),
    ("18c", parse_architecture("conv3 conv1 conv3 maxpool2 maxpool2 maxpool2 maxpool2"), 5),
    ("19a", parse_architecture("conv3 conv5 maxpool2 maxpool2"), 19),
    ("19b", parse_architecture("conv1 conv3 conv3 maxpool2 maxpool3"), 13),
    ("20a", parse_architecture("conv1 conv3 conv3 maxpool2 conv3 maxpool2 maxpool2 maxpool2 maxpool2"), 2),
    ("20b", parse_architecture("conv3 conv1 conv3 conv5 maxpool2 maxpool2 maxpool2 maxpool2 maxpool2"), 2),
    ("21a", decode(FIGURE_21A), 2),
    ("21b", parse_architecture("avgpool2 conv5 conv3 maxpool2 conv3 maxpool2 maxpool2 conv1"), 4),
]
"""Best networks of arXiv 1911.03769, figures 18 to 21, and the side of their last feature map at 84 px."""
