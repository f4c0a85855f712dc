"""Networks: profile and architecture → plan (integers, no torch) → build (torch), and drawing."""
