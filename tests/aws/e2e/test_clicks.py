"""Clicks: from an edge's signed message through queue, bucket and rollup to statistics."""

import random
import time
import unittest

import botocore.exceptions
from clicks import GOOGLEBOT, Click, pack
from world import driving, named, world

HOUR_MS = 3_600_000


def batches(source, clicks, size):
    """Messages of a host that numbered its clicks from 0."""
    return [
        pack(source, first, clicks[first : first + size]) for first in range(0, len(clicks), size)
    ]


class Clicks(unittest.TestCase):
    def setUp(self):
        self.source = random.getrandbits(63)
        # Long enough ago for windows to be due, and the whole test in as few days as can be.
        self.began = int(time.time() * 1000) - HOUR_MS

    def clicks(self, link, count, **fields):
        return [
            Click(link, self.began + index * 10, visitor=index % 40, **fields)
            for index in range(count)
        ]

    def test_become_statistics(self):
        with driving("1,000 clicks, 100 of programs, batches twice and shuffled", "counted once"):
            link = world().create(slug=named("counted"))
            clicks = self.clicks(link["id"], 600) + self.clicks(link["id"], 300, country="FR")
            clicks += self.clicks(link["id"], 100, user_agent=GOOGLEBOT)
            random.Random(1).shuffle(clicks)
            clicks.sort(key=lambda click: click.at_ms)
            messages = batches(self.source, clicks, 50)
            messages += messages[:7]
            random.Random(2).shuffle(messages)
            world().send_clicks(messages)
            world().wait_for_queue("ClicksQueueUrl")
            world().wait_for_clicks(named("counted"), 1_000)
            stats = world().stats(named("counted"), by="country")
            self.assertEqual(stats["totals"]["all"], 1_000)
            self.assertEqual(stats["totals"]["by_reason"]["bot"], 100)
            self.assertEqual(sum(point["all"] for point in stats["series"]), 1_000)
            burst = stats["totals"]["by_reason"]["burst"]
            self.assertEqual(stats["totals"]["human"], 900 - burst)
            found = world().call("GET", f"/api/v1/links/{link['slug']}").json
            self.assertEqual(found["clicks"], 1_000)

    def test_arrive_again_after_their_window_closed(self):
        with driving("a batch once more after its window closed", "counted once"):
            link = world().create(slug=named("again"))
            messages = batches(self.source, self.clicks(link["id"], 40), 20)
            world().send_clicks(messages)
            world().wait_for_clicks(named("again"), 40)
            first = world().stats(named("again"))
            world().send_clicks(messages[::-1])
            world().wait_for_queue("ClicksQueueUrl")
            world().roll_up()
            self.assertEqual(world().stats(named("again"))["totals"], first["totals"])
            self.assertEqual(first["totals"]["all"], 40)

    def test_account_holds(self):
        with driving("integrity of all clicks so far", "accepted = counted + lost + in flight"):
            link = world().create()
            world().send_clicks(batches(self.source, self.clicks(link["id"], 5), 5))
            world().wait_for_queue("ClicksQueueUrl")
            world().roll_up()
            account = world().call("GET", "/api/v1/stats/integrity").json
            self.assertEqual(
                account["accepted"], account["counted"] + account["lost"] + account["in_flight"]
            )
            self.assertEqual(account["lost"], 0)
            self.assertGreaterEqual(account["counted"], 5)

    def test_poison_is_put_aside_and_the_rest_counts(self):
        with driving("3 messages of poison among 5 batches", "in the dead letters, 50 counted"):
            world().hasten("ClicksQueueUrl", self)
            before = world().queue("ClicksDeadLettersUrl")
            link = world().create(slug=named("poisoned"))
            good = batches(self.source, self.clicks(link["id"], 50), 10)
            poison = ["no base64!", "AQID", good[0][: len(good[0]) // 8 * 4]]
            world().send_clicks(good[:2] + poison + good[2:])
            world().wait_for_queue("ClicksDeadLettersUrl", before + 3)
            world().wait_for_queue("ClicksQueueUrl")
            world().wait_for_clicks(named("poisoned"), 50)
            self.assertEqual(self.taken("ClicksDeadLettersUrl", poison), sorted(poison))

    def taken(self, output, bodies):
        """Takes messages with these bodies out of a queue."""
        queues, url = world().client("sqs"), world().stack.outputs[output]
        found, tries = [], 0
        while len(found) < len(bodies) and tries < 100:
            tries += 1
            answer = queues.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in answer.get("Messages", []):
                if message["Body"] in bodies:
                    found.append(message["Body"])
                    queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return sorted(found)


class EdgeSender(unittest.TestCase):
    def test_may_do_nothing_else(self):
        with driving("an edge's key on other queues, tables, secrets, the bucket", "refused"):
            stack, key = world().stack, world().stack.edge_sender()

            def client(service):
                return world().client(service, **key)

            outputs = stack.outputs
            attempts = [
                lambda: client("sqs").receive_message(QueueUrl=outputs["ClicksQueueUrl"]),
                lambda: client("sqs").purge_queue(QueueUrl=outputs["ClicksQueueUrl"]),
                lambda: client("sqs").send_message(
                    QueueUrl=outputs["CleanupQueueUrl"], MessageBody="x"
                ),
                lambda: client("dynamodb").get_item(
                    TableName=outputs["LinksTable"], Key={"pk": {"S": "x"}}
                ),
                lambda: client("secretsmanager").get_secret_value(
                    SecretId=outputs["AdminKeySecretArn"]
                ),
                lambda: client("s3").list_objects_v2(Bucket=outputs["RawBucket"]),
                lambda: client("lambda").invoke(FunctionName=outputs["RollupFunction"]),
            ]
            for index, attempt in enumerate(attempts):
                with self.assertRaises(botocore.exceptions.ClientError, msg=index) as refused:
                    attempt()
                code = refused.exception.response["Error"]["Code"]
                self.assertIn(code, ("AccessDenied", "AccessDeniedException"), index)


if __name__ == "__main__":
    unittest.main()
