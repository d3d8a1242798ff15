"""Compiled loops of transfer entropy: words, strata of the target's past, and permutations within strata.

A stratum holds the bins of one block of time (or of one place in the trials of a condition) with the same recent past
of the target. Permuting source words within a stratum changes only how many of its target spikes follow which word:
that is drawn directly, spike by spike without replacement, which has exactly the distribution of permuting all bins.
"""

from typing import Any

import numpy as np

from spikesight.data.count_kernels import compiled


@compiled
def source_words(row: Any, order: int) -> Any:
    """List the bins of a unit whose word is not 0, and the words.

    Parameters
    ----------
    row
        Counts of the unit, (n_bins,).
    order
        Bins in a word: bit ``k`` of the word of bin ``t`` says whether there is a spike in bin ``t - k``.

    Returns
    -------
    bins, words
        Shape (n_words,), in order of time. The first ``order - 1`` bins of a segment are not valid.
    """
    bins = np.empty(row.size, np.int32)
    words = np.empty(row.size, np.uint8)
    size, word = 0, 0
    for at in range(row.size):
        word = ((word << 1) | (1 if row[at] > 0 else 0)) & ((1 << order) - 1)
        if word > 0:
            bins[size] = at
            words[size] = word
            size += 1
    return bins[:size].copy(), words[:size].copy()


@compiled
def target_strata(row: Any, offsets: Any, block: Any, n_blocks: int, skip: int, order: int, beyond: int) -> Any:
    """Say of every bin of a target what it holds, and which stratum it belongs to.

    Parameters
    ----------
    row
        Counts of the unit, (n_bins,).
    offsets
        Bounds of the segments, (n_segments + 1,).
    block, n_blocks
        Block of each bin, (n_bins,), from 0 to ``n_blocks - 1``.
    skip
        Bins at the begin of each segment that have no complete past.
    order
        Bins of the target's past: bit ``k - 1`` of the past of bin ``t`` says whether there is a spike in ``t - k``.
    beyond
        Bins to add at the end, without a complete past either.

    Returns
    -------
    code
        Shape (n_bins + beyond,): ``stratum << (order + 1) | past << 1 | spike``, or -1 without a complete past.
        Stratum 0 stands for all strata in which the target does not spike.
    sizes, spikes
        Bins, and bins with a spike, of each stratum, (n_strata,).
    past_bins, past_spikes
        The same of each past, (2 ** order,).
    """
    n_pasts = 1 << order
    sizes, spikes = np.zeros(n_blocks * n_pasts, np.int32), np.zeros(n_blocks * n_pasts, np.int32)
    code = np.full(row.size + beyond, -1, np.int32)
    for segment in range(offsets.size - 1):
        past = 0
        for at in range(offsets[segment], offsets[segment + 1]):
            spike = 1 if row[at] > 0 else 0
            if at >= offsets[segment] + skip:
                stratum = block[at] * n_pasts + past
                sizes[stratum] += 1
                spikes[stratum] += spike
                code[at] = past << 1 | spike
            past = ((past << 1) | spike) & (n_pasts - 1)
    number = np.cumsum(spikes > 0) * (spikes > 0)
    past_bins, past_spikes = np.zeros(n_pasts, np.int64), np.zeros(n_pasts, np.int64)
    for at in range(row.size):
        if code[at] >= 0:
            past = code[at] >> 1
            past_bins[past] += 1
            past_spikes[past] += code[at] & 1
            code[at] |= number[block[at] * n_pasts + past] << (order + 1)
    busy = np.flatnonzero(spikes)
    few_sizes, few_spikes = np.zeros(busy.size + 1, np.int32), np.zeros(busy.size + 1, np.int32)
    few_sizes[1:] = sizes[busy]
    few_spikes[1:] = spikes[busy]
    return code, few_sizes, few_spikes, past_bins, past_spikes


@compiled
def x_log_x(x: float) -> float:
    """Return ``x ln x``, 0 at 0."""
    return x * np.log(x) if x > 0 else 0.0


@compiled
def information(bins: Any, spikes: Any, past_bins: Any, past_spikes: Any) -> float:
    """Return bins times the information of the word about the target's spike, given the target's past, in nats.

    Parameters
    ----------
    bins, spikes
        Bins with each word and past, and those with a target spike, (n_words, n_pasts); row 0 is not read.
    past_bins, past_spikes
        The same of each past, (n_pasts,).
    """
    total = 0.0
    for past in range(past_bins.size):
        n, k = past_bins[past], past_spikes[past]
        total += x_log_x(n) - x_log_x(k) - x_log_x(n - k)
        for word in range(1, len(bins)):
            m, a = bins[word, past], spikes[word, past]
            if m > 0:
                total += x_log_x(a) + x_log_x(m - a) - x_log_x(m)
                n -= m
                k -= a
        total += x_log_x(k) + x_log_x(n - k) - x_log_x(n)
    return total


@compiled
def meet(
    bins: Any, words: Any, delay: int, order: int, code: Any, n_words: int, slot: Any, busy: Any, held: Any
) -> Any:
    """Count how words of a source meet a target, at one delay.

    Parameters
    ----------
    bins, words
        Of the source, see `source_words`.
    delay
        From the last bin of a word to the target's bin, bins.
    order, code
        Of the target, see `target_strata`.
    n_words
        Two to the power of the bins in a word.
    slot
        Shape (n_strata,), -1 in all places. Is filled with the row of each stratum that words meet.
    busy
        Shape (n_strata,). Is filled with these strata, in order of their rows.
    held
        Shape (n_strata, n_words), 0 in all places. Is filled, row by row, with how often each word occurs in a stratum;
        column 0 with the sum of the others.

    Returns
    -------
    word_bins, word_spikes
        Bins with each word and past, and those with a target spike, (n_words, n_pasts).
    n_busy
        Number of rows.
    """
    n_pasts = 1 << order
    word_bins, word_spikes = np.zeros((n_words, n_pasts), np.int64), np.zeros((n_words, n_pasts), np.int64)
    n_busy = 0
    for i in range(bins.size):
        at = code[bins[i] + delay]
        if at < 0:
            continue
        word, past = words[i], (at >> 1) & (n_pasts - 1)
        word_bins[word, past] += 1
        word_spikes[word, past] += at & 1
        stratum = at >> (order + 1)
        if stratum > 0:
            if slot[stratum] < 0:
                slot[stratum] = n_busy
                busy[n_busy] = at >> 1
                n_busy += 1
            held[slot[stratum], word] += 1
            held[slot[stratum], 0] += 1
    return word_bins, word_spikes, n_busy


@compiled
def permuted_spikes(busy: Any, sizes: Any, spikes: Any, held: Any, taken: Any, drawn: Any) -> None:
    """Draw how many target spikes follow which word, if words are permuted within strata.

    Parameters
    ----------
    busy
        Strata that words meet, as ``stratum * n_pasts + past``, (n_busy,).
    sizes, spikes
        Bins, and target spikes, of all strata, (n_strata,).
    held
        Words in each of ``busy``, see `meet`; the same after the call as before.
    taken
        Room for the words of one stratum, as long as its spikes.
    drawn
        Shape (n_words, n_pasts). Is filled.
    """
    n_pasts = drawn.shape[1]
    drawn[:] = 0
    for row in range(busy.size):
        stratum, past = busy[row] // n_pasts, busy[row] & (n_pasts - 1)
        left, n_taken = held[row, 0], 0
        for done in range(spikes[stratum]):
            at = int(np.random.random() * (sizes[stratum] - done))  # noqa: NPY002
            if at < left:
                word = 1
                while at >= held[row, word]:
                    at -= held[row, word]
                    word += 1
                held[row, word] -= 1
                left -= 1
                drawn[word, past] += 1
                taken[n_taken] = word
                n_taken += 1
        for word in taken[:n_taken]:
            held[row, word] += 1


@compiled
def against_permutations(
    source: Any, target: Any, order: int, n_words: int, low: int, high: int, n_permutations: int, seed: int
) -> Any:
    """Compare a pair's information at every delay with words permuted within strata.

    Parameters
    ----------
    source
        Bins and words, see `source_words`.
    target
        See `target_strata`.
    order
        Bins of the target's past.
    n_words
        Two to the power of the bins in a word.
    low, high
        First and last delay, bins.
    n_permutations
        Number of permutations.
    seed
        Of this pair's random numbers.

    Returns
    -------
    ndarray
        Shape (4, n_delays): information (bins times nats); its mean and variance over permutations; target spikes
        that follow a word with a spike, less those expected under permutation.
    """
    np.random.seed(seed)  # noqa: NPY002 (numba keeps this state per thread, apart from numpy's)
    bins, words = source
    code, sizes, spikes, past_bins, past_spikes = target
    slot, busy = np.full(sizes.size, -1, np.int32), np.empty(sizes.size, np.int32)
    held = np.zeros((sizes.size, n_words), np.int32)
    drawn = np.empty((n_words, past_bins.size), np.int64)
    taken = np.empty(spikes.max(), np.int64)
    found = np.empty((4, high - low + 1))
    for delay in range(low, high + 1):
        word_bins, word_spikes, n_busy = meet(bins, words, delay, order, code, n_words, slot, busy, held)
        total, squares = 0.0, 0.0
        for _ in range(n_permutations):
            permuted_spikes(busy[:n_busy], sizes, spikes, held, taken, drawn)
            value = information(word_bins, drawn, past_bins, past_spikes)
            total += value
            squares += value * value
        extra = float(word_spikes[1:].sum())
        for row in range(n_busy):
            stratum = busy[row] >> order
            extra -= held[row, 0] * spikes[stratum] / sizes[stratum]
            slot[stratum] = -1
        held[:n_busy] = 0
        mean = total / n_permutations
        found[0, delay - low] = information(word_bins, word_spikes, past_bins, past_spikes)
        found[1, delay - low] = mean
        found[2, delay - low] = max(squares - total * mean, 0.0) / (n_permutations - 1)
        found[3, delay - low] = extra
    return found
