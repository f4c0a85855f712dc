"""Networks: profile and architecture → plan (integers, no torch) → build (torch), and drawing.

Importing this package does not import torch; `nasgym.networks.build` does. The function that plans is
`nasgym.networks.plan.plan`.
"""

from nasgym.networks.plan import Plan, Trunk
from nasgym.networks.profiles import DEFAULT, NAMED_ARCHITECTURES, PAPER, PROFILES, NetworkProfile, profile

__all__ = [
    "DEFAULT",
    "NAMED_ARCHITECTURES",
    "PAPER",
    "PROFILES",
    "NetworkProfile",
    "Plan",
    "Trunk",
    "profile",
]
