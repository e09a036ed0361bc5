"""Functions that are killed between two writes: whoever comes next makes it whole."""

import contextlib
import os
import pathlib
import random
import signal
import threading
import time
import unittest

from clicks import Click, pack
from deployment import Failed
from world import ATTEMPT_SECONDS, driving, only_on_the_emulator, world

HOUR_MS = 3_600_000
KILLS = 12
BATCHES = 600


def processes(function):
    """The processes of a function, on the emulator."""
    name = f"AWS_LAMBDA_FUNCTION_NAME={world().stack.outputs[f'{function}Function']}".encode()
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        # Those of others, and those that end meanwhile, cannot be read.
        with contextlib.suppress(OSError):
            if os.getsid(int(folder.name)) != world().emulator.process.pid:
                continue
            if name in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def counters():
    """All that the table of counters has."""
    pages = world().client("dynamodb").get_paginator("scan").paginate(
        TableName=world().stack.outputs["CountersTable"], ConsistentRead=True
    )
    return sorted(repr(item) for page in pages for item in page["Items"])


class Invocation(threading.Thread):
    """A run of a function beside the test."""

    def __init__(self, function):
        super().__init__(daemon=True)
        self.function = function
        self.answer = None
        self.start()

    def run(self):
        # A killed function fails; the next run is to make up for it.
        with contextlib.suppress(Failed):
            self.answer = world().stack.invoke(self.function, {"task": self.function.lower()})


@only_on_the_emulator
class Rollup(unittest.TestCase):
    def killed(self, is_time):
        """Runs `rollup` and kills it when it is time; answers whether it was killed before it
        was done."""
        run = Invocation("Rollup")
        end = time.monotonic() + ATTEMPT_SECONDS
        while run.is_alive() and time.monotonic() < end:
            if is_time(run):
                for process in processes("Rollup"):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                break
        run.join(ATTEMPT_SECONDS)
        self.assertFalse(run.is_alive(), "an invocation of a killed function ends")
        return run.answer is None

    def killed_after_a_write(self):
        before = counters()
        return self.killed(lambda _: counters() != before)

    def killed_at_any_moment(self):
        moment = random.uniform(0.01, 0.5)

        def is_time(run):
            run.join(moment)
            return True

        return self.killed(is_time)

    def test_killed_again_and_again(self):
        with driving(f"6,000 clicks, rollup killed up to {KILLS} times", "counted once"):
            links = [world().create(slug=f"killed{number}") for number in range(3)]
            began = int(time.time() * 1000) - HOUR_MS
            messages = []
            for number in range(BATCHES):
                link = links[number % len(links)]["id"]
                clicks = [
                    Click(link, began + number * 2_000 + index, visitor=number * 10 + index)
                    for index in range(10)
                ]
                messages.append(pack(random.getrandbits(63), 0, clicks))
            world().send_clicks(messages)
            world().wait_for_queue("ClicksQueueUrl")
            self.assertTrue(self.killed_after_a_write(), "it was done with its first write")
            kills = 1
            while kills < KILLS and self.killed_at_any_moment():
                kills += 1
            world().roll_up()
            for link in links:
                stats = world().stats(link["slug"])
                self.assertEqual(stats["totals"]["all"], BATCHES * 10 // len(links))
                self.assertEqual(sum(p["all"] for p in stats["series"]), stats["totals"]["all"])
            account = world().call("GET", "/api/v1/stats/integrity").json
            self.assertEqual(account["lost"], 0)


if __name__ == "__main__":
    unittest.main()
