"""Whatever a server does, a file under its final name is the right one, and an error is one of ours."""

import random
from pathlib import Path

import pytest

from servers.dandi_server import multipart_etag
from servers.fault_server import Fault, FaultServer, Seen
from spikesight.data.fetch import HDF5_SIGNATURE, FetchRecord, fetch
from spikesight.data.http import Patience
from spikesight.data.public_source import S3_PREFIX
from spikesight.errors import RemoteError

SESSION = 715093703
PATH = f"/{S3_PREFIX}/session_{SESSION}/session_{SESSION}.nwb"
QUICK = Patience(connect=1.0, read=0.15, retries=4, first_wait=0.001, longest_wait=0.005)


def any_content(chance: random.Random) -> bytes:
    return HDF5_SIGNATURE + chance.randbytes(chance.randrange(1, 200_000))


def any_fault(chance: random.Random, size: int) -> Fault:
    """Return one of all the faults the server knows."""
    return chance.choice(
        [
            Fault(status=chance.choice([500, 502, 503, 504, 408, 429])),
            Fault(status=chance.choice([403, 404, 400, 304, 204])),
            Fault(drop_after=chance.choice([-1, 0, 1, chance.randrange(size)])),
            Fault(stall_after=chance.randrange(size), stall_seconds=0.4),
            Fault(announce=chance.choice([0, 1, size, 2 * size, chance.randrange(size)])),
            Fault(corrupt=tuple(chance.sample(range(size), chance.randrange(1, 4)))),
            Fault(headers={"Content-Range": chance.choice(["", "bytes */5", "bytes 0-1/2", f"bytes 7-9/{size}"])}),
            Fault(headers={"ETag": chance.choice(['"other"', "", 'W/"1"', "unquoted"])}),
            Fault(headers={"Content-Length": chance.choice(["-1", "many", ""])}),
            Fault(headers={"Content-Encoding": "gzip"}),
            Fault(headers={"Location": PATH}, status=302),
            Fault(status=503, headers={"Retry-After": chance.choice(["0", "-5", "soon", "Thu, 01 Jan 1970 00:00:00"])}),
        ]
    )  # fmt: skip


def try_out(server: FaultServer, folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = any_content(chance)
    piece = chance.choice([10_000, 30_000, 1 << 20])
    contents = {data}

    def serve(content: bytes) -> None:
        part = -(-len(content) // 3)
        server.serve(PATH, content, etag=multipart_etag(content, part) if seed % 3 == 0 else "md5")

    def fail(seen: Seen) -> Fault | None:
        if chance.random() < 0.002:
            contents.add(any_content(chance))
            serve(max(contents, key=lambda content: chance.random()))
        return any_fault(chance, len(data)) if chance.random() < rate else None

    serve(data)
    server.fail_when = fail
    final = folder / "s3" / f"session_{SESSION}.nwb"
    # What fails often is begun again, as a user does; at last the server is well.
    for rate in (0.5, 0.2, 0.1, 0.05, 0.02, 0.0):
        try:
            done = fetch(SESSION, base=server.url, cache=folder, patience=QUICK, piece_size=piece)
        except RemoteError:
            if not rate or final.exists():
                raise
        else:
            check(done, contents)
            return


def check(done: FetchRecord, contents: set[bytes]) -> None:
    found = done.path.read_bytes()
    if done.verified != "size only":  # an ETag that guesses do not explain: then nobody can know
        assert found in contents, done
    assert len(found) == done.bytes


@pytest.mark.parametrize("seed", range(12))
def test_any_faults(fault_server: FaultServer, tmp_path: Path, seed: int) -> None:
    try_out(fault_server, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(start, start + 40) for start in range(100, 300, 40)], ids=str)
def test_any_faults_many_times(fault_server: FaultServer, tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        try_out(fault_server, tmp_path / str(seed), seed)
