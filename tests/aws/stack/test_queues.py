"""Queues: what fails comes back, then waits for somebody; nothing travels unencrypted."""

import unittest

from stack import production

TWO_WEEKS = 14 * 24 * 3600
READERS = {"Clicks": "Counting.AggregateFunction", "Cleanup": "Upkeep.CleanupFunction"}


class Queues(unittest.TestCase):
    def setUp(self):
        self.stack = production()
        self.queues = {
            name.split(".")[1]: properties
            for name, properties in self.stack.of("AWS::SQS::Queue").items()
        }

    def test_are_these(self):
        self.assertEqual(
            sorted(self.queues),
            ["ChangesDeadLetters", "CleanupDeadLetters", "CleanupQueue", "ClicksDeadLetters",
             "ClicksQueue"],
        )

    def test_keep_two_weeks_and_encrypt(self):
        for name, queue in self.queues.items():
            self.assertEqual(queue["MessageRetentionPeriod"], TWO_WEEKS, name)
            self.assertIs(queue["SqsManagedSseEnabled"], True, name)

    def test_give_up_after_five_tries(self):
        for name in READERS:
            redrive = self.queues[f"{name}Queue"]["RedrivePolicy"]
            expected = {
                "deadLetterTargetArn": {"Fn::GetAtt": [f"{name}DeadLetters", "Arn"]},
                "maxReceiveCount": 5,
            }
            self.assertEqual(redrive, expected)

    def test_wait_six_timeouts_before_a_message_comes_again(self):
        # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        for name, function in READERS.items():
            timeout = self.stack.properties(function)["Timeout"]
            (mapping,) = (
                mapping for mapping in self.stack.of("AWS::Lambda::EventSourceMapping").values()
                if mapping["EventSourceArn"] == f"Queues.{name}QueueArn"
            )
            needed = 6 * timeout + mapping.get("MaximumBatchingWindowInSeconds", 0)
            visibility = self.queues[f"{name}Queue"]["VisibilityTimeout"]
            self.assertGreaterEqual(visibility, needed, name)
            self.assertLess(visibility, needed + 60, name)

    def test_take_nothing_without_tls(self):
        policies = self.stack.of("AWS::SQS::QueuePolicy").values()
        held = {}
        for policy in policies:
            (queue,) = policy["Queues"]
            (statement,) = policy["PolicyDocument"]["Statement"]
            held[queue["Ref"]] = statement
        self.assertEqual(set(held), set(self.queues))
        for name, statement in held.items():
            expected = {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": {"Fn::GetAtt": [name, "Arn"]},
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
            self.assertEqual(statement, expected)


class EdgeSender(unittest.TestCase):
    def test_may_send_clicks_and_nothing_else(self):
        user = production().properties("Queues.EdgeSender")
        (policy,) = user["Policies"]
        expected = {
            "Effect": "Allow",
            "Action": "sqs:SendMessage*",
            "Resource": {"Fn::GetAtt": ["ClicksQueue", "Arn"]},
        }
        self.assertEqual(policy["PolicyDocument"]["Statement"], [expected])
        self.assertEqual(user["PermissionsBoundary"], "arn:aws:iam::123456789012:policy/bound")
        self.assertNotIn("ManagedPolicyArns", user)
        self.assertNotIn("Groups", user)
        self.assertEqual(production().of("AWS::IAM::AccessKey"), {})


if __name__ == "__main__":
    unittest.main()
