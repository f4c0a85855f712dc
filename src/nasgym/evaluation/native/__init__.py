"""Training in compiled code: one step of a whole network is one call, on one core with bf16 instructions.

What it computes is what torch computes in bf16, up to rounding; where it does not apply, torch serves.
"""
