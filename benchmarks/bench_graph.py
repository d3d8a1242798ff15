"""Graph attention, side by side: ours against PyTorch Geometric, against a gather in plain torch, against an LSTM.

Run ``python benchmarks/bench_graph.py`` on a quiet machine (5 minutes, 5 GB), ``--quick`` for tiny sizes that only show
that everything runs, ``--json`` for JSON. Every case has a process of its own, all have the same number of threads.
Seconds are medians of forward and backward passes; memory is what a pass takes beyond what the process held before it,
its inputs included. The ratios are what counts: they hold on other machines. Ends with code 1 if one is missed.

Dense attention, per batch: 320 slices (32 trials of 10 bins) of one learned graph, 18 channels; PyTorch Geometric's
``GATv2Conv(edge_dim=1)`` gets one big graph, in which every slice has units of its own, so that every trial gets
messages; and, in ``pyg_parts``, four slices at a time, which suits it better. Sparse attention: 16 edges into each of
2000 units, 8 channels, batches of 64 trials of 5 bins; an epoch has 4760 trials. Whole decoders are trained with their
default constants on as many trials, bins and units, in one thread.

The floating-point bound is 28 operations per slice, source, target and channel, over what multiply-adds in vectors
reach, measured in the same process on as many threads. Forward 8: an addition and a multiply-add for z, the rectifier,
a multiply-add into the score and one into the output. Backward 20: 6 for the score again, 2 for source times gradient,
2 for the gradient of the source by the message, then 3 for z again, 1 for its sign, and additions or multiply-adds into
sums by source, by target, by edge and by channel, 6.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from peak_memory import forget_peak, resident
from spikesight.decoders.registry import make
from spikesight.networks.attention import dense_attention, sparse_attention
from spikesight.networks.attention_kernels import kernel
from spikesight.networks.attention_lanes import LANES, fma, load_row, store_row

FLOPS = 28
"""Per slice, source, target and channel, forward and backward; see above."""
CHAINS = 10
"""Multiply-adds that do not wait for each other: enough to fill two units of four to five cycles."""
EPOCH = 4760
SECONDS_PER_CASE = 15.0
MOST_REPEATS = 9

FASTER_THAN_PYG = {100: 8.0, 200: 40.0}
LESS_MEMORY_THAN_PYG = 10.0
BOUND_AT_1000 = 3.0
BYTES_AT_1000 = 1e9
OVER_LSTM = {"st-gat": 2.0, "st-gcn": 1.4}
DECODER_EPOCHS = 3
PYG_PART = 4
"""Slices that PyTorch Geometric gets at a time in the case ``pyg-parts``."""

Step = Callable[[], Any]


def backward(out: Tensor, inputs: list[Tensor]) -> None:
    """Go back to all inputs, which then hold no gradient again."""
    out.backward(torch.ones_like(out))
    for value in inputs:
        value.grad = None


def units(n_slices: int, n_units: int, n_channels: int) -> list[Tensor]:
    """Units as senders and receivers, edge vector and attention; each wants a gradient."""
    shape = (1, n_slices, n_units, n_channels)
    made = [torch.randn(shape), torch.randn(shape), 0.3 * torch.randn(n_channels), 0.3 * torch.randn(n_channels)]
    return [value.requires_grad_() for value in made]


def dense(n_slices: int, n_units: int, n_channels: int) -> Step:
    source, target, edge_vector, attention = units(n_slices, n_units, n_channels)
    weights = (torch.rand(1, n_units, n_units) + 0.1).requires_grad_()
    inputs = [source, target, weights, edge_vector, attention]
    return lambda: backward(dense_attention(*inputs), inputs)


def pyg_in_parts(n_slices: int, n_units: int, n_channels: int) -> Step:
    """PyTorch Geometric's layer on a few slices at a time, as often as it takes for all."""
    n_parts = -(-n_slices // PYG_PART)
    step = pyg(min(PYG_PART, n_slices), n_units, n_channels)
    return lambda: [step() for _ in range(n_parts)]


def pyg(n_slices: int, n_units: int, n_channels: int) -> Step:
    """PyTorch Geometric's layer without its linear maps, on all pairs of every slice, numbered on."""
    from torch_geometric.nn import GATv2Conv

    source, target, _, _ = units(n_slices, n_units, n_channels)
    weights = (torch.rand(n_units, n_units) + 0.1).requires_grad_()
    layer = GATv2Conv(n_channels, n_channels, edge_dim=1, fill_value=0.0, bias=False)
    layer.lin_l, layer.lin_r = torch.nn.Identity(), torch.nn.Identity()
    edges = (~torch.eye(n_units, dtype=torch.bool)).nonzero().T
    index = (edges[:, None] + n_units * torch.arange(n_slices)[None, :, None]).reshape(2, -1)
    inputs = [source, target, weights, *layer.parameters()]

    def step() -> None:
        features = weights[edges[0], edges[1]].repeat(n_slices)[:, None]
        backward(layer((source[0].flatten(0, 1), target[0].flatten(0, 1)), index, features), inputs)

    return step


def kept_edges(n_units: int, n_edges: int) -> tuple[Tensor, Tensor]:
    """Draw sources other than the unit itself, and weights that want a gradient."""
    sources = torch.randint(0, n_units - 1, (1, n_units, n_edges))
    sources += sources >= torch.arange(n_units)[:, None]
    return sources, (torch.rand(sources.shape) + 0.1).requires_grad_()


def sparse(n_slices: int, n_units: int, n_channels: int, n_edges: int) -> Step:
    source, target, edge_vector, attention = units(n_slices, n_units, n_channels)
    sources, weights = kept_edges(n_units, n_edges)
    inputs = [source, target, weights, edge_vector, attention]
    return lambda: backward(sparse_attention(source, target, sources, weights, edge_vector, attention), inputs)


def gather(n_slices: int, n_units: int, n_channels: int, n_edges: int) -> Step:
    """Do the same in plain torch: the sources of all edges are copied side by side."""
    source, target, edge_vector, attention = units(n_slices, n_units, n_channels)
    sources, weights = kept_edges(n_units, n_edges)
    inputs = [source, target, weights, edge_vector, attention]
    own = torch.arange(n_units)[:, None]

    def step() -> None:
        messages = source[0][:, torch.cat([sources[0], own], 1)]
        features = torch.cat([weights[0], torch.zeros(n_units, 1)], 1)[..., None] * edge_vector
        scores = torch.nn.functional.leaky_relu(messages + target[0][:, :, None] + features, 0.2) @ attention
        backward((scores.softmax(-1)[..., None] * messages).sum(2), inputs)

    return step


def lstm(n_trials: int, n_bins: int, n_units: int, hidden_size: int) -> Step:
    """One batch of an LSTM, forward and backward as the others."""
    layer = torch.nn.LSTM(n_units, hidden_size, batch_first=True)
    x = torch.randn(n_trials, n_bins, n_units)

    def step() -> None:
        layer.zero_grad()
        layer(x)[0].square().mean().backward()

    return step


CASES: dict[str, Callable[..., Step]] = {
    **{"dense": dense, "pyg": pyg, "pyg-parts": pyg_in_parts},
    **{"sparse": sparse, "gather": gather, "lstm": lstm},
}
"""What a process of its own can be asked for."""


@kernel
def _multiply_add(lanes: np.ndarray, n_rounds: int) -> None:
    """Ten chains of multiply-adds in registers."""
    y, z = load_row(lanes, 0), load_row(lanes, 1)
    a = b = c = d = e = f = g = h = i = j = load_row(lanes, 2)
    b, c, d, e, f, g, h, i, j = b + y, c + z, d + a, e + b, f + c, g + d, h + e, i + f, j + g
    for _ in range(n_rounds):
        a, b, c, d, e = fma(a, y, z), fma(b, y, z), fma(c, y, z), fma(d, y, z), fma(e, y, z)
        f, g, h, i, j = fma(f, y, z), fma(g, y, z), fma(h, y, z), fma(i, y, z), fma(j, y, z)
    store_row(lanes, 2, (a + b + c + d + e) + (f + g + h + i + j))


def peak_flops(n_rounds: int = 10_000_000) -> float:
    """Measure how many operations per second multiply-adds of float32 reach on all threads."""
    n_threads = torch.get_num_threads()
    lanes = np.full((n_threads, 3, LANES), 0.5, np.float32)
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(_multiply_add, lanes, [1] * n_threads))
        begin = time.perf_counter()
        list(pool.map(_multiply_add, lanes, [n_rounds] * n_threads))
        seconds = time.perf_counter() - begin
    return 2 * CHAINS * LANES * n_rounds * n_threads / seconds


def run_case(asked: dict[str, Any]) -> dict[str, Any]:
    """Time one case in this process, after a tiny one, which compiles."""
    torch.set_num_threads(asked["threads"])
    torch.manual_seed(0)
    case, sizes = CASES[asked["case"]], asked["sizes"]
    case(*[min(size, 8) for size in sizes[:-1]], min(sizes[-1], 6))()
    step = case(*sizes)
    forget_peak()
    before = resident("VmRSS")
    seconds: list[float] = []
    peaks: list[float] = []
    stop = time.perf_counter() + asked["seconds"]
    while not seconds or (time.perf_counter() < stop and len(seconds) < asked["repeats"]):
        if asked["case"] == "dense":
            peaks.append(peak_flops(asked["rounds"]))
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    measured = {"seconds": statistics.median(seconds), "repeats": len(seconds), "bytes": resident("VmHWM") - before}
    if peaks:
        measured["peak_flops"] = statistics.median(peaks)
        measured["times_the_bound"] = measured["seconds"] * measured["peak_flops"] / (FLOPS * np.prod(sizes) * sizes[1])
    return measured


def run_apart(asked: dict[str, Any]) -> dict[str, Any]:
    """Time one case in a process of its own."""
    threads = str(asked["threads"])
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    command = [sys.executable, "-W", "ignore", __file__, "--case", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"case {asked} ended with code {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def dense_rows(measure: Callable[..., dict[str, Any]], quick: bool) -> list[dict[str, Any]]:
    """Measure dense attention, and PyTorch Geometric where it fits into memory."""
    n_slices, n_channels = (4, 3) if quick else (320, 18)
    rows = []
    for n_units in (100,) if quick else (100, 200, 400, 1000):
        row: dict[str, Any] = {"n_units": n_units, **measure("dense", n_slices, n_units, n_channels)}
        if n_units in FASTER_THAN_PYG:
            for case, suffix in (("pyg", ""), ("pyg-parts", "_parts")):
                other = row[f"pyg{suffix}"] = measure(case, n_slices, n_units, n_channels)
                row[f"faster_than_pyg{suffix}"] = other["seconds"] / row["seconds"]
                row[f"less_memory_than_pyg{suffix}"] = other["bytes"] / max(row["bytes"], 1.0)
            row["reached"] = (
                row["faster_than_pyg"] >= FASTER_THAN_PYG[n_units]
                and row["less_memory_than_pyg"] >= LESS_MEMORY_THAN_PYG
            )
        if n_units == 1000:
            row["reached"] = row["times_the_bound"] <= BOUND_AT_1000 and row["bytes"] <= BYTES_AT_1000
        rows.append(row)
    return rows


def sparse_row(measure: Callable[..., dict[str, Any]], quick: bool) -> dict[str, Any]:
    """Measure sparse attention in batches, beside a gather and LSTMs, as seconds of an epoch."""
    n_trials, n_bins, n_units, n_channels, n_edges = (2, 3, 20, 4, 5) if quick else (64, 5, 2000, 8, 16)
    cases = {name: measure(name, n_trials * n_bins, n_units, n_channels, n_edges) for name in ("sparse", "gather")}
    for hidden_size in (4, 6) if quick else (256, 760):
        cases[f"lstm-{hidden_size}"] = measure("lstm", n_trials, n_bins, n_units, hidden_size)
    for case in cases.values():
        case["epoch_seconds"] = case["seconds"] * EPOCH / n_trials
    return {
        "n_units": n_units,
        "n_edges": n_edges,
        "n_channels": n_channels,
        "cases": cases,
        "faster_than_gather": cases["gather"]["seconds"] / cases["sparse"]["seconds"],
        "over_lstm": {name: cases["sparse"]["seconds"] / cases[name]["seconds"] for name in cases if "lstm" in name},
    }


def decoder_rows(limits: dict[str, Any], quick: bool) -> list[dict[str, Any]]:
    """Measure an epoch of whole decoders, with their default constants, beside that of ``lstm``."""
    sizes = (40, 2, 8) if quick else (EPOCH, 5, 2000)
    rows: list[dict[str, Any]] = []
    for name in ("lstm", *OVER_LSTM):
        asked = {"decoder": name, "sizes": sizes, **limits}
        row = {"decoder": name, **(run_decoder(asked) if quick else run_apart(asked))}
        if name in OVER_LSTM:
            row["over_lstm"] = row["seconds"] / rows[0]["seconds"]
            row["reached"] = row["over_lstm"] <= OVER_LSTM[name]
        rows.append(row)
    return rows


def run_decoder(asked: dict[str, Any]) -> dict[str, Any]:
    """Train a decoder for a few epochs in this process, which like any decoder uses one thread."""
    rng = np.random.default_rng(0)
    n_trials, n_bins, n_units = asked["sizes"]
    y = np.arange(n_trials) % min(119, n_trials // 4)
    X = rng.poisson(1.0, (n_trials, n_bins, n_units)).astype(np.uint8)
    make(asked["decoder"], max_epochs=1).fit(X[: 2 * (y.max() + 1)], y[: 2 * (y.max() + 1)])  # compiles
    forget_peak()
    before = resident("VmRSS")
    fitted = make(asked["decoder"], max_epochs=DECODER_EPOCHS).fit(X, y)
    seconds = [record["seconds"] for record in fitted.history_]
    return {
        "seconds": statistics.median(seconds),
        "repeats": len(seconds),
        "bytes": resident("VmHWM") - before,
        "n_parameters": fitted.n_parameters_,
    }


def print_table(result: dict[str, Any]) -> None:
    """Print the figures for people."""
    print(f"{result['threads']} threads; medians, forward and backward; MB beyond the inputs")
    print(
        f"{'dense':>6}  {'ms':>8}  {'MB':>6}  {'x bound':>7}  {'x PyG':>6}  {'/ PyG MB':>8}  {'in parts':>8}  reached"
    )
    for row in result["dense"]:
        line = f"{row['n_units']:>6}  {1e3 * row['seconds']:8.1f}  {row['bytes'] / 1e6:6.0f}"
        line += f"  {row['times_the_bound']:7.2f}"
        if "pyg" in row:
            line += f"  {row['faster_than_pyg']:6.1f}  {row['less_memory_than_pyg']:8.1f}"
            line += f"  {row['faster_than_pyg_parts']:8.1f}"
        else:
            line += f"  {'':6}  {'':8}  {'':8}"
        print(line + ("  yes" if row["reached"] else "  NO") if "reached" in row else line)
    row = result["sparse"]
    print(f"{row['n_edges']} edges into each of {row['n_units']} units, {row['n_channels']} channels: seconds an epoch")
    for name, case in row["cases"].items():
        times = case["seconds"] / row["cases"]["sparse"]["seconds"]
        print(f"{name:>10}  {case['epoch_seconds']:8.2f}  {case['bytes'] / 1e6:6.0f} MB  {times:6.2f} x sparse")
    print("whole decoders, one thread: seconds an epoch")
    for row in result["decoders"]:
        line = f"{row['decoder']:>10}  {row['seconds']:8.2f}  {row['bytes'] / 1e6:6.0f} MB"
        if "over_lstm" in row:
            line += f"  {row['over_lstm']:6.2f} x lstm  {'yes' if row['reached'] else 'NO'}"
        print(line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="tiny sizes, in this process: shows that all runs")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        case = json.loads(asked.case)
        print(json.dumps(run_decoder(case) if "decoder" in case else run_case(case)))
        return 0
    limits = {"threads": asked.threads, "seconds": SECONDS_PER_CASE, "repeats": MOST_REPEATS, "rounds": 10_000_000}
    if asked.quick:
        limits |= {"repeats": 1, "rounds": 1000}

    def measure(case: str, *sizes: int) -> dict[str, Any]:
        return (run_case if asked.quick else run_apart)({"case": case, "sizes": sizes, **limits})

    result = {
        "threads": asked.threads,
        "quick": asked.quick,
        "dense": dense_rows(measure, asked.quick),
        "sparse": sparse_row(measure, asked.quick),
        "decoders": decoder_rows(limits, asked.quick),
    }
    result["reached"] = all(row.get("reached", True) for row in result["dense"] + result["decoders"])
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        print_table(result)
    return 0 if result["reached"] or asked.quick else 1


if __name__ == "__main__":
    sys.exit(main())
