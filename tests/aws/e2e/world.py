"""The stack that all tests drive: deployed once, ended with the program, with a table of what was
driven."""

import atexit
import contextlib
import functools
import json
import os
import random
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import boto3

import clicks
import deployment
import kv

ATTEMPT_SECONDS = 30
# Of a queue in an account: how long it is waited for, and how often it has to say the same.
QUEUE_SECONDS = 180
STEADY = 20
HOUR_MS = 3_600_000
_driven = []


def event(name):
    """An event of tests/events."""
    return json.loads((deployment.REPO / "tests/events" / f"{name}.json").read_text())


class Answer:
    """What the API answered."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.text = body.decode()

    @property
    def json(self):
        """The body."""
        return json.loads(self.text)


class World:
    """The stack, and a stand-in for Cloudflare's API that it publishes to: on an emulator, or, if
    WAYPOST_AWS_STACK names one, in the account of the environment, without the stand-in."""

    def __init__(self):
        began = time.monotonic()
        # Links of earlier runs are still there in an account.
        self.tag = f"{random.getrandbits(32):08x}"
        name = os.environ.get("WAYPOST_AWS_STACK")
        self.cloudflare = self.emulator = self.stack = None
        try:
            if name:
                self.client = boto3.client
                self.stack = deployment.Stack(name, self.client)
            else:
                self._deploy()
        except BaseException:
            self.stop()
            raise
        note("the stack" if name else "sam deploy onto a fresh emulator", "routes are there", began)
        self.admin_key = self.stack.secret("AdminKeySecretArn")
        # Links that are no longer new when tests of comparing come to them, the last one with ten
        # clicks in a window that is closed; from then on, clicks of that time count as late.
        # The first has a password: its record is sealed in the table.
        links = [self.create(tags=["e2e-settled"], password="open sesame")]
        links += [self.create(tags=["e2e-settled"]) for _ in range(4)]
        self.settled = [link["slug"] for link in links]
        self.counted = links[-1]
        self.host = urllib.parse.urlsplit(self.counted["short_url"]).netloc
        # Another one with clicks in that window, to be taken away.
        self.doomed = self.create(tags=["e2e-doomed"])
        began = int(time.time() * 1000) - HOUR_MS
        visits = [
            clicks.Click(link["id"], began + n, visitor=n)
            for link in (self.counted, self.doomed)
            for n in range(10)
        ]
        self.send_clicks([clicks.pack(random.getrandbits(63), 0, visits)])
        self.wait_for_queue("ClicksQueueUrl")
        self.roll_up()

    def _deploy(self):
        self.cloudflare = kv.Cloudflare()
        self.emulator = deployment.Emulator()
        self.client = self.emulator.client
        parameters = {
            "EdgeStores": f"cloudflare account=a namespace=n api={self.cloudflare.url}",
            "EdgeTokens": json.dumps({"CLOUDFLARE_API_TOKEN": kv.TOKEN}),
        }
        self.stack = deployment.Deployment(self.emulator, parameters)

    def stop(self):
        """Ends everything that was started."""
        if self.stack and not self.emulator:
            self.stack.stop()
        if self.emulator:
            self.emulator.stop()
        if self.cloudflare:
            self.cloudflare.stop()

    def call(self, method, path, body=None, key=None, **headers):
        """Asks the API; any status is an answer."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key != "":
            headers["authorization"] = f"Bearer {key or self.admin_key}"
        if body is not None:
            headers.setdefault("content-type", "application/json")
            body = json.dumps(body).encode()
        request = urllib.request.Request(
            self.stack.address(path), data=body, method=method, headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=ATTEMPT_SECONDS) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def create(self, **fields):
        """Creates a link and answers it."""
        fields.setdefault("destination", "https://www.example.com/")
        answer = self.call("POST", "/api/v1/links", fields)
        if answer.status != 201:
            raise AssertionError(f"{answer.status} {answer.text}\n{self.stack.logs('Api')}")
        return answer.json

    def stats(self, slug, **parameters):
        """The statistics of a link."""
        query = urllib.parse.urlencode(parameters)
        answer = self.call("GET", f"/api/v1/links/{slug}/stats?{query}")
        if answer.status != 200:
            raise AssertionError(f"{answer.status} {answer.text}\n{self.stack.logs('Api')}")
        return answer.json

    def metrics(self, function):
        """The metrics of each line that a function logged for this stack."""
        found = []
        for line in self.stack.logs(function.capitalize(), lines=10_000).splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if not isinstance(entry, dict):
                continue
            if (entry.get("Stack"), entry.get("Function")) != (self.stack.name, function):
                continue
            directives = entry.get("_aws", {}).get("CloudWatchMetrics", [])
            names = [
                metric["Name"]
                for directive in directives
                if directive["Namespace"] == "Waypost"
                and directive["Dimensions"] == [["Stack", "Function"]]
                for metric in directive["Metrics"]
            ]
            found.append({name: entry[name] for name in names})
        return found

    def queue(self, output):
        """The messages of a queue, without taking any."""
        url = self.stack.outputs[output]
        attributes = self.client("sqs").get_queue_attributes(
            QueueUrl=url,
            AttributeNames=[
                "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
            ],
        )["Attributes"]
        return sum(int(value) for value in attributes.values())

    def send_clicks(self, messages):
        """Sends messages as an edge does: signed with its key, ten at a time."""
        queues = self.client("sqs", **self.stack.edge_sender())
        for start in range(0, len(messages), 10):
            entries = [
                {"Id": str(index), "MessageBody": body}
                for index, body in enumerate(messages[start : start + 10])
            ]
            answer = queues.send_message_batch(
                QueueUrl=self.stack.outputs["ClicksQueueUrl"], Entries=entries
            )
            if answer.get("Failed"):
                raise AssertionError(answer["Failed"])

    def hasten(self, output, test):
        """Lets a queue try again after a second instead of minutes, until a test ends."""
        queues, url, name = self.client("sqs"), self.stack.outputs[output], "VisibilityTimeout"
        before = queues.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
        queues.set_queue_attributes(QueueUrl=url, Attributes={name: "1"})
        test.addCleanup(queues.set_queue_attributes, QueueUrl=url, Attributes=before)

    def wait_for_queue(self, output, count=0):
        """Waits until a queue has so many messages."""

        # What a queue of an account says may be some seconds old.
        wanted, seconds = (1, ATTEMPT_SECONDS) if self.emulator else (STEADY, QUEUE_SECONDS)
        seen = 0

        def is_there():
            nonlocal seen
            seen = seen + 1 if self.queue(output) == count else 0
            return seen >= wanted

        try:
            deployment.wait_until(is_there, seconds, f"{count} messages in {output}")
        except deployment.Failed as failure:
            logs = self.stack.logs("Aggregate")
            raise AssertionError(f"{failure}; there are {self.queue(output)}\n{logs}") from failure

    def wait_for_clicks(self, slug, count):
        """Rolls up until a link has so many clicks."""

        def are_there():
            self.roll_up()
            return self.stats(slug)["totals"]["all"] == count

        deployment.wait_until(are_there, QUEUE_SECONDS, f"{count} clicks of {slug}")

    def roll_up(self):
        """Runs `rollup` until nothing is left."""
        while True:
            answer = self.stack.invoke("Rollup", event("schedule-rollup"))
            if not answer["left"]:
                return answer


def named(slug):
    """The slug for this run."""
    return f"{slug}-{world().tag}"


def only_on_the_emulator(test):
    """What an account is not asked for: it has other stores, and is deployed by somebody else."""
    name = os.environ.get("WAYPOST_AWS_STACK")
    return unittest.skipIf(name, "an account has stores and deployments of its own")(test)


def note(what, result, began):
    """A line of the table of what was driven."""
    _driven.append((what, result, time.monotonic() - began))


@contextlib.contextmanager
def driving(what, result):
    """Notes what was driven if it went well."""
    world()
    began = time.monotonic()
    yield
    note(what, result, began)


@functools.cache
def world():
    """The world of this program."""
    made = World()
    atexit.register(_end, made)
    return made


def _end(made):
    made.stop()
    width = max(len(what) for what, _, _ in _driven)
    results = max(len(result) for _, result, _ in _driven)
    print(f"\n{'driven':{width}}  {'result':{results}}  seconds")
    for what, result, seconds in _driven:
        print(f"{what:{width}}  {result:{results}}  {seconds:7.1f}")
