"""connected: a local Ray, a joined one, one that is there already, and what is said where none answers."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from spikesight import cluster
from spikesight.cluster import ONE_THREAD, connected
from spikesight.errors import ClusterError, ConfigError

ray = pytest.importorskip("ray")


@pytest.mark.parametrize(
    "address", ["", "here", "10.0.0.1", "ray://10.0.0.1:10001", "head:", "head:port", "http://h:1", "a b:1"]
)
def test_connected_refuses_what_is_no_address(address):
    with pytest.raises(ConfigError, match="expected 'local', 'auto' or 'host:port'"), connected(address):
        pass


@pytest.mark.parametrize("address", ["local", "auto", "node-7:24001", "10.0.0.1:6379", "[fe80::1]:6379"])
def test_addresses_of_ray_pass(address):
    cluster.check_address(address)


def test_connected_without_ray_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'spikesight\[tune\]'"), connected("local"):
        pass


def test_an_address_that_does_not_answer_is_named_with_the_time_that_was_waited():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused at once
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        started = time.monotonic()
        with (
            pytest.raises(ClusterError, match=rf"no Ray cluster answers at {address} within 4 s"),
            connected(address, answer_seconds=4),
        ):
            pass
    assert time.monotonic() - started < 8
    assert not ray.is_initialized()


def test_a_local_ray_gives_workers_one_thread_and_the_modules_of_the_driver_and_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(os.environ)
    handler = signal.getsignal(signal.SIGTERM)

    def look():
        import only_here

        return only_here.ANSWER, {name: os.environ.get(name) for name in ONE_THREAD}, cluster.__file__, os.getpid()

    with connected("local", jobs=1):
        assert ray.cluster_resources()["CPU"] == 1
        answer, threads, file, worker = ray.get(ray.remote(look).remote())
        assert (answer, threads, file) == (42, dict(ONE_THREAD), cluster.__file__)
        with connected("auto"):  # this process is connected already: that is used, and left as it was
            assert ray.get(ray.remote(look).remote())[0] == 42
        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert {name for name in os.environ if "AUTH" in name} == {name for name in before if "AUTH" in name}
    assert _gone(worker)


@pytest.mark.slow
def test_workers_of_a_local_ray_have_the_priority_of_the_driver_or_the_one_that_was_asked_for(monkeypatch):
    def niceness():
        return os.nice(0)

    with connected("local", jobs=1):
        assert ray.get(ray.remote(niceness).remote()) == os.nice(0)
    monkeypatch.setenv(cluster.PRIORITY, "17")
    with connected("local", jobs=1):
        assert ray.get(ray.remote(niceness).remote()) == 17


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_a_stopped_driver_takes_its_local_ray_with_it(tmp_path, stop):
    script = """
        import signal, time
        import ray
        from spikesight.cluster import connected
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line does
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells ignore for what is in the background
        try:
            with connected("local", jobs=1):
                import os
                print(ray.get(ray.remote(lambda: os.getpid()).remote()), flush=True)
                time.sleep(60)
        except KeyboardInterrupt:
            print("stopped", ray.is_initialized(), flush=True)
    """
    with _driver(script) as driver:
        worker = int(driver.stdout.readline())
        driver.send_signal(stop)
        out, _ = driver.communicate(timeout=30)
    assert out == "stopped False\n"
    assert driver.returncode == 0
    assert _gone(worker)


@pytest.mark.slow
def test_a_local_ray_without_any_setting_is_closed_to_others_and_writes_no_token(tmp_path):
    script = """
        import os
        import ray
        from ray._private.authentication.authentication_utils import is_token_auth_enabled
        from spikesight.cluster import connected
        for _ in range(2):  # the second has the token of the first: Ray reads it once
            with connected("local", jobs=1):
                print(ray.get(ray.remote(is_token_auth_enabled).remote()))
                assert not [name for name in os.environ if "AUTH" in name]
    """
    environment = {name: value for name, value in os.environ.items() if "AUTH" not in name}
    with _driver(script, {**environment, "HOME": str(tmp_path)}) as driver:
        out, error = driver.communicate(timeout=120)
    assert out.split() == ["True", "True"], error
    assert list(tmp_path.rglob("*token*")) == []


@pytest.fixture
def guarded(tmp_path):
    """A cluster that asks for a token, in processes of its own."""
    token = tmp_path / "token"
    token.write_text("a" * 64)
    token.chmod(0o600)
    port = _free_port()
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    command = [
        *(Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--port", port, "--num-cpus", 1),
        *("--include-dashboard", "false", "--object-store-memory", 100_000_000, "--temp-dir", f"/tmp/rt{os.getpid()}"),
        *("--min-worker-port", 0, "--max-worker-port", 0, "--dashboard-agent-listen-port", 0),
    ]
    with subprocess.Popen(
        list(map(str, command)), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as head:
        yield f"127.0.0.1:{port}", token
        head.terminate()
        head.wait(60)


@pytest.mark.slow
def test_a_cluster_with_a_token_takes_its_own_drivers_and_refuses_others(guarded, tmp_path):
    address, token = guarded
    other = tmp_path / "other"
    other.write_text("b" * 64)
    script = f"""
        import ray
        from spikesight.cluster import connected
        from spikesight.errors import ClusterError
        try:
            with connected({address!r}):
                print("joined", ray.get(ray.remote(lambda: 6 * 7).remote()))
        except ClusterError as error:
            print("refused" if "refuses this process: its token" in str(error) else error)
    """

    def told(**environment):
        with _driver(script, {**os.environ, **environment}) as driver:
            out, error = driver.communicate(timeout=90)
        return out.strip() or error

    assert told(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token)) == "joined 42"
    assert told(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(other)) == "refused"
    assert told(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(tmp_path / "none")) == "refused"
    assert told(RAY_AUTH_MODE="disabled") == "refused"


@contextlib.contextmanager
def _driver(script, environment=None):
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        yield driver


def _free_port():
    """A port that nobody has, outside of those that Ray gives to its workers."""
    for port in range(21000 + os.getpid() % 1000, 30000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
    raise AssertionError("no free port")


def _gone(pid, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
