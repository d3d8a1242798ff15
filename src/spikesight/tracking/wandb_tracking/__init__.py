"""Runs of Weights & Biases, written offline under the run directory and uploaded from there: see docs/tracking.md.

``wandb`` itself is imported in a process of its own only (`writer`), which has neither our terminal nor any key.
"""
