"""The Worker on the real workerd, in front of the stack: its KV is what the stand-in for Cloudflare
was told, its origin is the deployed API, its clicks go to the deployed queue."""

import contextlib
import http.client
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import deployment

HOST = "go.example"
START_SECONDS = 60

CONFIG = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "kv", external = (address = "127.0.0.1:{kv}", http = ())),
    (name = "aws", external = (address = "127.0.0.1:{aws}", http = ()))
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")]
);
const main :Workerd.Worker = (
  modules = [
    (name = "shim.mjs", esModule = embed "shim.mjs"),
    (name = "index.wasm", wasm = embed "index.wasm")
  ],
  bindings = [(name = "LINKS", kvNamespace = "kv"), {variables}],
  globalOutbound = "aws",
  compatibilityDate = "2026-04-01"
);
"""


def program():
    """Where workerd is."""
    found = os.environ.get("WAYPOST_WORKERD")
    if not found:
        raise deployment.Failed("WAYPOST_WORKERD is not set: tests/setup/edge-tools.sh prints it")
    return found


def keys(secret):
    """The line of keys that edges are given, as the runbook makes it."""
    script = deployment.REPO / "infra/edge-keys.sh"
    done = subprocess.run([script], input=secret, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Store:
    """Workers KV as workerd asks for it."""

    def __init__(self, cloudflare):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = urllib.parse.urlsplit(self.path).path
                key = urllib.parse.unquote(path.removeprefix("/"))
                value = cloudflare.values.get(key)
                self.send_response(404 if value is None else 200)
                self.send_header("content-length", str(len(value or b"")))
                self.end_headers()
                self.wfile.write(value or b"")

            def log_message(self, format, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]

    def stop(self):
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()


class Edge:
    """One place of the edge."""

    def __init__(self, world):
        self.store = Store(world.cloudflare)
        self.port = deployment.free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="waypost-edge-"))
        built = deployment.REPO / "edge/worker/build/worker"
        for name in ("shim.mjs", "index.wasm"):
            shutil.copy(built / name, self.folder)
        port, outputs = world.emulator.port, world.stack.outputs
        queue = urllib.parse.urlsplit(outputs["ClicksQueueUrl"]).path
        sender = world.stack.edge_sender()
        variables = {
            "WAYPOST_PUBLIC_URL": f"https://{HOST}",
            "WAYPOST_ORIGIN_URL": f"http://{outputs['ApiId']}.execute-api.localhost:{port}",
            "WAYPOST_EDGE_KEYS": keys(world.stack.secret("EdgeKeysSecretArn")),
            "WAYPOST_SQS_QUEUE_URL": f"http://127.0.0.1:{port}{queue}",
            "WAYPOST_SQS_REGION": deployment.REGION,
            "WAYPOST_AWS_ACCESS_KEY_ID": sender["aws_access_key_id"],
            "WAYPOST_AWS_SECRET_ACCESS_KEY": sender["aws_secret_access_key"],
        }
        bindings = [f'(name = "{name}", text = "{text}")' for name, text in variables.items()]
        config = CONFIG.format(
            kv=self.store.port, aws=port, port=self.port, variables=", ".join(bindings)
        )
        (self.folder / "config.capnp").write_text(config)
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [program(), "serve", "config.capnp"], cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )
        try:
            deployment.wait_until(self._answers, START_SECONDS, "workerd to start")
        except BaseException:
            self.stop()
            raise

    def _answers(self):
        with contextlib.suppress(OSError):
            return self.follow("", method="HEAD")[0] > 0
        return False

    def follow(self, slug, method="GET", **headers):
        """Status and `Location` for a visitor."""
        visitor = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            told = {name.replace("_", "-"): value for name, value in headers.items()}
            visitor.request(method, f"/{slug}", headers={"host": HOST, **told})
            answer = visitor.getresponse()
            answer.read()
            return answer.status, answer.getheader("location")
        finally:
            visitor.close()

    def log(self):
        """The end of what it said."""
        return (self.folder / "log").read_text(errors="replace")[-2_000:]

    def stop(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()
        self.store.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
