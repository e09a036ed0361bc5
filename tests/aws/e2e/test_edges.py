"""What edges ask of the API, signed with the keys that infra/edge-keys.sh hands to them."""

import base64
import hashlib
import hmac
import random
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from clicks import Click, identity, number, pack, text
from deployment import REPO
from world import ATTEMPT_SECONDS, driving, named, world

VERSION = b"\x01"
HEADER = "x-waypost-signature"


def edge_keys():
    """The keys of edges, by name."""
    secret = world().stack.secret("EdgeKeysSecretArn")
    done = subprocess.run(
        [REPO / "infra/edge-keys.sh"], input=secret.encode(), stdout=subprocess.PIPE, check=True
    )
    return dict(word.split(":") for word in done.stdout.decode().split())


def key(slug):
    """The key of a record, in a question."""
    return text(f"{world().host}/{slug}")


def ask(question, body, key=None, seconds=None):
    """Posts a question; answers the status, the bytes, and whether they are signed."""
    key = key or bytes.fromhex(edge_keys()["origin"])
    path = f"/api/v1/edge/{question}"
    body = VERSION + body
    seconds = int(time.time()) if seconds is None else seconds
    signed = b"waypost question 1\n" + seconds.to_bytes(8, "big") + path.encode() + b"\n" + body
    mac = hmac.digest(key, signed, hashlib.sha256)
    headers = {
        HEADER: f"t={seconds},s={mac.hex()}", "content-type": "application/octet-stream",
    }
    request = urllib.request.Request(world().stack.address(path), data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=ATTEMPT_SECONDS) as response:
            answer = response.read()
            status, tag = response.status, response.headers[HEADER]
    except urllib.error.HTTPError as error:
        return error.code, error.read(), False
    expected = b"waypost answer 1\n" + mac + status.to_bytes(2, "big") + answer
    return status, answer, tag == f"s={hmac.digest(key, expected, hashlib.sha256).hex()}"


class Questions(unittest.TestCase):
    def test_are_answered_signed(self):
        with driving("an edge resolves a link, and one that is not there", "signed answers"):
            world().create(slug=named("asked"), destination="https://www.example.com/asked")
            status, answer, is_signed = ask("resolve", key(named("asked")))
            self.assertEqual((status, is_signed), (200, True), answer)
            start = VERSION + key(named("asked")) + b"\x01"
            self.assertEqual(answer[: len(start)], start)
            self.assertIn(b"https://www.example.com/asked", answer)
            missing = ask("resolve", key(named("never")))
            expected = VERSION + key(named("never")) + b"\x00"
            self.assertEqual(missing, (200, expected, True))
            status, answer, is_signed = ask("state", b"")
            self.assertEqual((status, is_signed), (200, True), answer)

    def test_are_refused_unsigned_late_or_with_another_key(self):
        with driving("questions with a wrong key, and 10 minutes old", "401"):
            body = key(named("asked"))
            self.assertEqual(ask("resolve", body, key=b"\0" * 32)[0], 401)
            self.assertEqual(ask("resolve", body, seconds=int(time.time()) - 600)[0], 401)
            unsigned = world().call("POST", "/api/v1/edge/resolve", {}, key="")
            self.assertEqual(unsigned.status, 401)

    def test_take_no_more_uses_than_there_are(self):
        with driving("a link with 3 clicks, 5 uses asked for", "3 taken, 2 refused"):
            link = world().create(max_clicks=3)
            body = number(identity(link["id"]))
            answers = [ask("consume", body) for _ in range(5)]
            taken, refused = (200, VERSION + b"\x01", True), (200, VERSION + b"\x00", True)
            self.assertEqual(answers, [taken] * 3 + [refused] * 2)

    def test_check_passwords(self):
        with driving("a link with a password: wrong, then right", "signed answers"):
            world().create(slug=named("locked"), password="open sesame")
            nobody = b"\x00" + bytes(16)
            locked = key(named("locked"))
            wrong = ask("unlock", locked + text("open") + nobody)
            right = ask("unlock", locked + text("open sesame") + nobody)
            self.assertEqual(wrong, (200, VERSION + b"\x00", True))
            self.assertEqual(right, (200, VERSION + b"\x01", True))

    def test_bring_clicks_without_a_queue(self):
        with driving("clicks brought to the API, twice, one batch broken", "counted once"):
            link = world().create(slug=named("brought"))
            at_ms = int(time.time() * 1000) - 60_000
            clicks = [Click(link["id"], at_ms + index, visitor=index) for index in range(10)]
            batch = base64.b64decode(pack(random.getrandbits(63), 0, clicks))
            broken = batch[:20]
            body = number(2) + number(len(batch)) + batch + number(len(broken)) + broken
            for _ in range(2):
                status, answer, is_signed = ask("clicks", body)
                self.assertEqual((status, is_signed), (200, True), answer)
            world().roll_up()
            self.assertEqual(world().stats(named("brought"))["totals"]["all"], 10)


if __name__ == "__main__":
    unittest.main()
