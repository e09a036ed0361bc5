"""A dependency that fails for a while: clicks are put aside, looked at, and put back."""

import json
import os
import random
import subprocess
import time
import unittest

from clicks import Click, pack
from deployment import ROOT, Failed
from world import driving, only_on_the_emulator, world

HOUR_MS = 3_600_000
DENIED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}],
}


def waypost(*arguments):
    """What the command line says, for the account's owner."""
    program = os.environ.get("WAYPOST_PROGRAM")
    if not program:
        raise Failed("WAYPOST_PROGRAM is not set: a build of waypost with --features aws")
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": world().emulator.url,
        "AWS_REGION": ROOT["region_name"],
        "AWS_ACCESS_KEY_ID": ROOT["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ROOT["aws_secret_access_key"],
    }
    done = subprocess.run(
        [program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"{arguments}: {done.stdout}{done.stderr}")
    return done.stdout


@only_on_the_emulator
class Redrive(unittest.TestCase):
    def deny(self):
        """Takes the right to write into the bucket from `aggregate`; answers how to give it back."""
        outputs, people = world().stack.outputs, world().client("iam")
        found = world().client("lambda").get_function_configuration(
            FunctionName=outputs["AggregateFunction"]
        )
        role = found["Role"].rsplit("/", 1)[-1]
        people.put_role_policy(
            RoleName=role, PolicyName="Outage", PolicyDocument=json.dumps(DENIED)
        )
        return lambda: people.delete_role_policy(RoleName=role, PolicyName="Outage")

    def test_clicks_of_an_outage_are_counted_after_it(self):
        with driving("the bucket refuses 5 batches until they are put aside; dlq redrive", "counted"):
            outputs = world().stack.outputs
            world().hasten("ClicksQueueUrl", self)
            link = world().create(slug="outage")
            began, source = int(time.time() * 1000) - HOUR_MS, random.getrandbits(63)
            clicks = [Click(link["id"], began + n, visitor=n) for n in range(50)]
            batches = [pack(source, n, clicks[n : n + 10]) for n in range(0, 50, 10)]

            there = world().queue("ClicksDeadLettersUrl")
            mend = self.deny()
            try:
                world().send_clicks(batches)
                world().wait_for_queue("ClicksDeadLettersUrl", there + len(batches))
            finally:
                mend()
            world().roll_up()
            self.assertEqual(world().stats("outage")["totals"]["all"], 0)

            dead = outputs["ClicksDeadLettersUrl"]
            said = waypost("dlq", "redrive", "--from", dead, "--to", outputs["ClicksQueueUrl"])
            self.assertIn("5", said)
            world().wait_for_queue("ClicksDeadLettersUrl", there)
            world().wait_for_queue("ClicksQueueUrl")
            world().roll_up()
            self.assertEqual(world().stats("outage")["totals"]["all"], 50)
            self.assertEqual(world().call("GET", "/api/v1/stats/integrity").json["lost"], 0)


if __name__ == "__main__":
    unittest.main()
