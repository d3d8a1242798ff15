"""Servers on the loopback for uploads to fail at, and one that takes them as W&B's own does, as far as a run needs."""

import base64
import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        return

    def take(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, value, code=200):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that was ended in the middle of a request is what these tests are about."""


@contextmanager
def _served(handler):
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def failing():
    """Answer everything with an internal error."""

    class Failing(_Quiet):
        def do_POST(self):
            self.take()
            self.reply("no", 500)

    with _served(Failing) as url:
        yield url


@contextmanager
def refusing():
    """Give an address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def stalling():
    """Take connections and never answer."""
    over = threading.Event()

    class Stalling(_Quiet):
        def do_POST(self):
            self.take()
            over.wait(120)
            self.close_connection = True

    with _served(Stalling) as url:
        yield url
        over.set()


class Taken:
    """What was uploaded: runs by id, history lines by run, artifacts and files by name; the keys that were shown."""

    def __init__(self):
        self.runs, self.history, self.artifacts, self.files, self.keys = {}, {}, [], {}, set()


@contextmanager
def taking():
    """Take uploads: give the address, and what was taken."""
    taken = Taken()

    class Taking(_Quiet):
        def do_POST(self):
            body = json.loads(self.take())
            taken.keys.add(_key_of(self.headers.get("Authorization", "")))
            if self.path == "/graphql":
                address = f"http://{self.headers['Host']}/upload"
                self.reply({"data": _answer(taken, body["operationName"], body.get("variables") or {}, address)})
                return
            history = body.get("files", {}).get("wandb-history.jsonl")
            if history is not None:
                lines = taken.history.setdefault(self.path.split("/")[-2], [])
                lines[history["offset"] :] = history["content"]
            self.reply({})

        def do_PUT(self):
            taken.files[self.path.removeprefix("/upload/")] = self.take()
            self.reply({})

    with _served(Taking) as url:
        yield url, taken


def _key_of(authorization):
    """Return the key in a header of basic authorization."""
    return base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[2]


def _answer(taken, operation, asked, address):
    """Answer one of the questions that an upload asks."""
    if operation == "UpsertBucket":
        taken.runs.setdefault(asked["name"], {}).update({name: value for name, value in asked.items() if value})
        project = {"id": "p", "name": asked["project"], "entity": {"id": "e", "name": "lab"}}
        names = dict.fromkeys(("displayName", "description", "config", "sweepName"))
        bucket = {"id": "b", "name": asked["name"], "historyLineCount": 0, "project": project, **names}
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}
    if operation == "CreateArtifact":
        taken.artifacts.append(asked["input"]["artifactCollectionName"])
        artifact = {"id": "a", "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}
    if operation == "CreateArtifactManifest":
        file = {"id": "f", "name": "m", "displayName": "m", "uploadUrl": f"{address}/manifest", "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}
    if operation == "CreateArtifactFiles":
        nodes = [
            {
                **{name: file["name"] for name in ("id", "name", "displayName", "storagePath")},
                **{"uploadUrl": f"{address}/{file['name']}", "uploadHeaders": [], "uploadMultipartUrls": None},
                "artifact": {"id": file["artifactID"]},
            }
            for file in asked["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}
    if operation == "CommitArtifact":
        return {"commitArtifact": {"artifact": {"id": "a", "digest": "d"}}}
    if operation == "CreateRunFiles":
        files = [{"name": name, "uploadUrl": f"{address}/{name}"} for name in asked["files"]]
        return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}
    return {}
