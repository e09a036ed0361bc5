"""Clean-up, exports, and deploying again over what is there."""

import json
import unittest

from clicks import identity
from deployment import wait_until
from world import ATTEMPT_SECONDS, driving, event, only_on_the_emulator, world


class Upkeep(unittest.TestCase):
    def test_cleanup_runs(self):
        with driving("a round of clean-up, dry and real", "no fault"):
            by_the_clock = event("schedule-cleanup")
            for order in ({**by_the_clock, "dry_run": True}, by_the_clock):
                report = world().stack.invoke("Cleanup", order)
                self.assertEqual(report["faults"], 0, report)

    @only_on_the_emulator
    def test_statistics_of_deleted_links_go(self):
        with driving("a link with clicks on the clean-up queue", "its statistics are gone"):
            link = world().counted
            self.assertEqual(world().stats(link["slug"])["totals"]["all"], 10)
            world().client("sqs").send_message(
                QueueUrl=world().stack.outputs["CleanupQueueUrl"], MessageBody=link["id"]
            )
            world().wait_for_queue("CleanupQueueUrl")
            self.assertEqual(world().stats(link["slug"])["totals"]["all"], 0)
            self.assertEqual(world().queue("CleanupDeadLettersUrl"), 0)

    @only_on_the_emulator
    def test_what_a_purge_takes_from_the_table_goes_everywhere(self):
        with driving("a link with clicks taken from the table", "gone from KV and statistics"):
            link = world().doomed
            key, number = f"{world().host}/{link['slug']}", identity(link["id"])
            self.assertEqual(world().stats(link["slug"])["totals"]["all"], 10)
            self.wait(lambda: key in world().cloudflare.values, "the record in KV")
            self.assertGreater(self.rollups(number), 0)
            # As the clean-up does after the quarantine, but for the statistics, which it deletes
            # itself: an event must be enough.
            world().client("dynamodb").delete_item(
                TableName=world().stack.outputs["LinksTable"], Key={"pk": {"S": key}}
            )
            self.wait(lambda: key not in world().cloudflare.values, "KV to forget the link")
            self.wait(lambda: self.rollups(number) == 0, "its statistics to go")
            self.assertEqual(world().queue("CleanupDeadLettersUrl"), 0)

    def wait(self, condition, what):
        wait_until(condition, ATTEMPT_SECONDS, what)

    def rollups(self, number):
        """How many rollups a link has in the table."""
        return world().client("dynamodb").query(
            TableName=world().stack.outputs["CountersTable"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"rollup#{number:016x}"}},
        )["Count"]

    def test_export_writes_all_links(self):
        with driving("an export", "each link in a file of the bucket"):
            made = {world().create(tags=["e2e-export"])["id"] for _ in range(3)}
            order = event("order-export")
            while True:
                answer = world().stack.invoke("Export", order)
                if answer.get("done"):
                    break
                order = answer
            objects = world().client("s3")
            bucket = world().stack.outputs["RawBucket"]
            listed = objects.list_objects_v2(Bucket=bucket, Prefix="exports/")["Contents"]
            found = set()
            for entry in listed:
                if entry["Key"].endswith("manifest.json"):
                    continue
                body = objects.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                found |= {json.loads(line)["id"] for line in body.decode().splitlines()}
            self.assertLessEqual(made, found)

    @only_on_the_emulator
    def test_deployed_again_everything_is_still_there(self):
        with driving("sam deploy over the running stack", "links are still there"):
            world().create(slug="kept")
            before = dict(world().stack.outputs)
            world().stack.deploy()
            self.assertEqual(world().stack.outputs, before)
            self.assertEqual(world().call("GET", "/api/v1/links/kept").status, 200)


if __name__ == "__main__":
    unittest.main()
