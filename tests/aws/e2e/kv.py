"""A stand-in for Cloudflare's REST API of Workers KV, as far as publishing calls it."""

import base64
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "a-token"
PAGE = 1_000
PREFIX = "/accounts/a/storage/kv/namespaces/n/"


class Cloudflare:
    """One namespace, on a port of its own."""

    def __init__(self):
        self.values = {}
        self.metadata = {}
        self.calls = []
        self.lock = threading.Lock()
        cloudflare = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                cloudflare.handle(self)

            do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, format, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self):
        """Ends it."""
        self.server.shutdown()
        self.server.server_close()

    def wipe(self):
        """Loses everything."""
        with self.lock:
            self.values.clear()
            self.metadata.clear()

    def keys(self):
        """The keys of records."""
        with self.lock:
            return sorted(key for key in self.values if not key.startswith("!"))

    def handle(self, request):
        """Answers a call."""
        length = int(request.headers.get("content-length") or 0)
        body = request.rfile.read(length)
        url = urllib.parse.urlsplit(request.path)
        status, result, info = 404, None, None
        with self.lock:
            self.calls.append((request.command, url.path.removeprefix(PREFIX)))
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                status = 403
            elif url.path.startswith(PREFIX):
                name = urllib.parse.unquote(url.path.removeprefix(PREFIX))
                status, result, info = self._answer(request.command, name, url.query, body)
        # Cloudflare says `null` where there are no pages.
        answer = {
            "success": status == 200, "errors": [], "messages": [], "result": result,
            "result_info": info,
        }
        if status != 200:
            answer["errors"] = [{"code": 10000, "message": "refused by the stand-in"}]
        encoded = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(encoded)))
        request.end_headers()
        request.wfile.write(encoded)

    def _answer(self, method, name, query, body):
        if (method, name) == ("PUT", "bulk"):
            pairs = json.loads(body)
            for pair in pairs:
                value = pair["value"]
                is_base64 = pair.get("base64")
                self.values[pair["key"]] = base64.b64decode(value) if is_base64 else value.encode()
                self.metadata[pair["key"]] = pair.get("metadata")
            return 200, {"successful_key_count": len(pairs), "unsuccessful_keys": []}, None
        if (method, name) in (("POST", "bulk/delete"), ("DELETE", "bulk")):
            keys = json.loads(body)
            for key in keys:
                self.values.pop(key, None)
                self.metadata.pop(key, None)
            return 200, {"successful_key_count": len(keys), "unsuccessful_keys": []}, None
        if (method, name) == ("GET", "keys"):
            words = dict(urllib.parse.parse_qsl(query))
            after = words.get("cursor", "")
            left = sorted(key for key in self.values if key > after)
            keys = left[: int(words.get("limit", PAGE))]
            more = len(keys) < len(left)
            result = [{"name": key, "metadata": self.metadata.get(key)} for key in keys]
            return 200, result, {"count": len(keys), "cursor": keys[-1] if more else ""}
        return 404, None, None
