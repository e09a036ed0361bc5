"""Cold starts of the functions of a deployed stack: each program is started as Lambda would start it,
with its own environment and a stand-in for the API that Lambda's runtime asks for events."""

import gzip
import json
import os
import pathlib
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import deployment

START_SECONDS = 20
# Where Linux distributions keep whom they trust.
BUNDLES = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"]
FUNCTIONS = ["Api", "Aggregate", "Rollup", "Publish", "Reconcile", "Cleanup", "Export"]


def recorded(name, **changes):
    """An event of tests/events."""
    event = json.loads((deployment.REPO / "tests/events" / f"{name}.json").read_text())
    return {**event, **changes}


class Tls:
    """Takes TLS off what it is sent, and hands it to the emulator."""

    def __init__(self, folder, port):
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,DNS:*.localhost",
             "-addext", "basicConstraints=critical,CA:FALSE",
             "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )
        # All that a machine trusts is read at a start, so it is here too.
        trusted = [pathlib.Path(path).read_text() for path in BUNDLES if os.path.exists(path)][:1]
        self.bundle = folder / "bundle.pem"
        self.bundle.write_text("".join([*trusted, certificate.read_text()]))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.set_alpn_protocols(["http/1.1"])
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"https://localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            outside = self.context.wrap_socket(connection, server_side=True)
            inside = socket.create_connection(("127.0.0.1", self.target))
            inside.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._copy, args=[inside, outside], daemon=True).start()
            self._copy(outside, inside)
        except OSError:
            connection.close()

    def _copy(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Runtime:
    """The API that a function asks for its next event: it gets one, and nothing after it."""

    def __init__(self):
        runtime = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                runtime.asked.append(time.perf_counter())
                if len(runtime.asked) > 1:
                    runtime.done.set()
                    runtime.ended.wait(START_SECONDS)
                    return
                self.answer(200, json.dumps(runtime.event).encode())

            def do_POST(self):
                length = int(self.headers.get("content-length") or 0)
                chunked = self.headers.get("transfer-encoding") == "chunked"
                body = self.chunks() if chunked else self.rfile.read(length)
                runtime.answers.append((time.perf_counter(), self.path, body))
                self.answer(202, b"")

            def chunks(self):
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("lambda-runtime-aws-request-id", "one")
                self.send_header("lambda-runtime-deadline-ms", str(int(time.time() * 1000) + 30000))
                self.send_header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:x")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def start(self, program, environment, event):
        """Starts a program and answers milliseconds: until it asked, from its event to its answer,
        and of processor in all."""
        self.event, self.asked, self.answers = event, [], []
        self.done, self.ended = threading.Event(), threading.Event()
        began = time.perf_counter()
        started = subprocess.Popen(
            [program], env={**environment, "AWS_LAMBDA_RUNTIME_API": self.address},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        done = self.done.wait(START_SECONDS)
        started.kill()
        said = started.stdout.read().decode()
        _, started.returncode, usage = os.wait4(started.pid, 0)
        self.ended.set()
        if not done or not self.answers[0][1].endswith("/response"):
            answers = [(path, body[:400]) for _, path, body in self.answers]
            raise deployment.Failed(f"{program} did not answer: {answers}\n{said[-2000:]}")
        return [
            (self.asked[0] - began) * 1000,
            (self.answers[0][0] - self.asked[0]) * 1000,
            (usage.ru_utime + usage.ru_stime) * 1000,
        ]


def candidates(stack, tls):
    """What is started: name, program, environment, event."""
    basic = {
        **{key.upper(): value for key, value in deployment.ROOT.items() if key != "region_name"},
        "AWS_REGION": deployment.REGION,
        "AWS_ENDPOINT_URL": tls.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SSL_CERT_FILE": str(tls.bundle),
        "AWS_LAMBDA_FUNCTION_NAME": "cold",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": "cold",
        "AWS_LAMBDA_LOG_STREAM_NAME": "cold",
        "AWS_LAMBDA_LOG_FORMAT": "json",
    }
    floor = os.environ["WAYPOST_FLOOR"]
    secret = {"WAYPOST_ADMIN_KEY_SECRET": stack.outputs["AdminKeySecretArn"]}
    yield "answers only", floor, basic, {}
    yield "reads one secret", floor, {**basic, **secret}, {}
    key = stack.secret("AdminKeySecretArn")
    creating = recorded("http-create", body='{"destination":"https://www.example.com/"}')
    creating["headers"] = {
        "authorization": f"Bearer {key}", "host": "api.example", "content-type": "application/json"
    }
    reading = recorded("http-create", rawPath="/api/v1/links/none", body="")
    reading["requestContext"]["http"].update(method="GET", path="/api/v1/links/none")
    reading["headers"] = {"authorization": f"Bearer {key}", "host": "api.example"}
    events = {
        "Aggregate": {"Records": []},
        "Rollup": {"task": "rollup"},
        "Publish": {"Records": []},
        "Reconcile": recorded("schedule-reconcile"),
        "Cleanup": {"Records": []},
        "Export": {},
    }
    functions = stack.client("lambda")
    for name in FUNCTIONS:
        found = functions.get_function_configuration(FunctionName=stack.outputs[f"{name}Function"])
        environment = {**basic, **found["Environment"]["Variables"], "AWS_ENDPOINT_URL": tls.url}
        program, = (deployment.REPO / ".aws-sam/build").glob(f"*/{name}Function/bootstrap")
        if name == "Api":
            yield "api, to read", str(program), environment, reading
            name = "api, to create"
            events[name] = creating
        yield name.lower(), str(program), environment, events[name]


def main(rounds):
    """Starts everything in turns, so that what disturbs the machine disturbs all alike."""
    emulator = deployment.Emulator()
    try:
        stack = deployment.Deployment(emulator)
        tls, runtime = Tls(emulator.folder, emulator.port), Runtime()
        programs = list(candidates(stack, tls))
        measured = {name: [] for name, *_ in programs}
        for turn in range(rounds):
            print(f"  start {turn + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
            for name, program, environment, event in programs:
                measured[name].append(runtime.start(program, environment, event))
        print(file=sys.stderr)
    finally:
        emulator.stop()
    print("medians; ratios to a function that only answers")
    print(f"{'':17} {'gzip kB':>8} {'ready ms':>9} {'ratio':>6} {'first answer ms':>16} {'CPU ms':>7}")
    floor = None
    for name, program, _, _ in programs:
        ready, answer, processor = map(statistics.median, zip(*measured[name]))
        floor = floor or ready
        size = len(gzip.compress(pathlib.Path(program).read_bytes(), 6)) / 1000
        print(
            f"{name:17} {size:8.0f} {ready:9.1f} {ready / floor:6.1f} {answer:16.1f} {processor:7.1f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]))
