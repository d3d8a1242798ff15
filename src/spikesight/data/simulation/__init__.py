"""Sessions made to measure: known tuning, known gain, known couplings, in the form of real recordings."""

from spikesight.data.simulation.presets import PRESETS, Preset, presets_digest
from spikesight.data.simulation.simulate import Simulation, simulate_session
from spikesight.data.simulation.truth import GroundTruth, truth_path

__all__ = ["PRESETS", "GroundTruth", "Preset", "Simulation", "presets_digest", "simulate_session", "truth_path"]
