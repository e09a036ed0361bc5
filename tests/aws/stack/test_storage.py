"""Tables, bucket and secrets: nothing is lost, nothing is open, keys are those of the code."""

import json
import math
import os
import re
import subprocess
import unittest

from stack import GIVEN, REPO, Stack, plain, production

TABLES = {"links": "LinksTable", "control": "ControlTable", "counters": "CountersTable"}
KEYS = " ".join(
    [f"{name}:{'0' * 32}" for name in ("check", "sequence", "sticky")]
    + [f"{name}:{'0' * 64}" for name in ("cookie", "origin")]
)
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"


def schema():
    """The tables as the code has them; WAYPOST_AWS_SCHEMA names the program that prints them."""
    built = os.environ.get("WAYPOST_AWS_SCHEMA")
    run = ["cargo", "run", "--quiet", "--package", "waypost-aws", "--example", "schema"]
    command = [built] if built else run
    printed = subprocess.run(command, cwd=REPO, check=True, capture_output=True).stdout
    return json.loads(printed)


def as_schema(name, table):
    """A table of the template in the form of the schema."""

    def keys(definition):
        return {key["KeyType"]: key["AttributeName"] for key in definition["KeySchema"]}

    own = keys(table)
    assert own["HASH"] == "pk" and own.get("RANGE", "sk") == "sk", own
    indices = table.get("GlobalSecondaryIndexes", [])
    ttl = table.get("TimeToLiveSpecification", {"Enabled": False})
    return {
        "name": name,
        "has_sort_key": "RANGE" in own,
        "indices": [
            {
                "name": i["IndexName"], "pk": keys(i)["HASH"], "sk": keys(i)["RANGE"],
                "holds": i["Projection"].get("NonKeyAttributes", []),
            }
            for i in indices
        ],
        "has_stream": "StreamSpecification" in table,
        "ttl": ttl["AttributeName"] if ttl["Enabled"] else None,
    }


def constant(path, name):
    """A number of milliseconds that the code has."""
    found = re.search(rf"const {name}: i64 = ([0-9_ *]+);", (REPO / path).read_text())
    return math.prod(int(factor) for factor in found[1].split("*"))


class Tables(unittest.TestCase):
    def setUp(self):
        self.tables = {n: production().properties(f"Storage.{t}") for n, t in TABLES.items()}

    def test_are_those_of_the_code(self):
        ours = [as_schema(name, table) for name, table in self.tables.items()]
        # What the code says beyond these fields is about more than a template can hold.
        theirs = [{key: table[key] for key in ours[0]} for table in schema()]
        self.assertEqual(ours, theirs)

    def test_attributes_are_those_of_keys_and_texts(self):
        for name, table in self.tables.items():
            schemas = [table["KeySchema"]]
            schemas += [i["KeySchema"] for i in table.get("GlobalSecondaryIndexes", [])]
            used = {key["AttributeName"] for keys in schemas for key in keys}
            definitions = table["AttributeDefinitions"]
            defined = {a["AttributeName"]: a["AttributeType"] for a in definitions}
            self.assertEqual(defined, {attribute: "S" for attribute in used}, name)

    def test_indices_hold_no_more_than_they_say(self):
        for table in self.tables.values():
            for index in table.get("GlobalSecondaryIndexes", []):
                projection = index["Projection"]
                holds = projection.pop("NonKeyAttributes", None)
                kind = "INCLUDE" if holds else "KEYS_ONLY"
                self.assertEqual(projection, {"ProjectionType": kind})

    def test_stream_tells_before_and_after(self):
        stream = self.tables["links"]["StreamSpecification"]
        self.assertEqual(stream, {"StreamViewType": "NEW_AND_OLD_IMAGES"})

    def test_can_be_restored_and_not_be_deleted(self):
        for name, table in self.tables.items():
            with self.subTest(name):
                self.assertEqual(table["BillingMode"], "PAY_PER_REQUEST")
                recovery = table["PointInTimeRecoverySpecification"]
                self.assertEqual(recovery, {"PointInTimeRecoveryEnabled": True})
                self.assertIs(table["DeletionProtectionEnabled"], True)
                encryption = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}
                self.assertEqual(table["SSESpecification"], encryption)
                default = plain().properties(f"Storage.{TABLES[name]}")
                self.assertNotIn("SSESpecification", default)
                self.assertIs(default["DeletionProtectionEnabled"], True)


    def test_can_be_others(self):
        stream = "arn:aws:dynamodb:eu-west-1:123456789012:table/l/stream/1"
        stack = Stack(
            PublicUrl="https://go.example", ExistingTables="l,c,k", ExistingStreamArn=stream
        )
        self.assertEqual(stack.of("AWS::DynamoDB::Table"), {})
        made = stack.made["Storage"]
        for index, name in enumerate(TABLES.values()):
            own = {"Fn::Select": [index, {"Fn::Split": [",", "l,c,k"]}]}
            self.assertEqual(made[name], own)
            pattern, values = made[f"{name}Arn"]["Fn::Sub"]
            self.assertTrue(pattern.endswith(":table/${Name}"))
            self.assertEqual(values, {"Name": own})
        self.assertEqual(made["LinksStreamArn"], stream)


class Everything(unittest.TestCase):
    def test_with_data_stays(self):
        kinds = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SecretsManager::Secret")
        stack = production()
        names = [name for kind in kinds for name in stack.of(kind)]
        self.assertEqual(len(names), 8)
        for name in names:
            resource = stack.resources[name]
            kept = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            self.assertEqual(kept, ("RetainExceptOnCreate", "Retain"), name)

    def test_is_named_by_aws(self):
        # A second stack in the account, or a replaced resource, must not meet a name in use.
        for name, schedule in production().of("AWS::Scheduler::Schedule").items():
            self.assertNotIn("Name", schedule, name)
        fixed = ("TableName", "BucketName", "QueueName", "FunctionName", "RoleName", "UserName")
        for name, resource in production().resources.items():
            for property_name in (*fixed, "PolicyName", "TopicName", "AlarmName"):
                if resource["Type"] == "AWS::Lambda::Permission":
                    continue
                if resource["Type"] in ("AWS::Lambda::Alias", "AWS::Lambda::Version",
                                        "AWS::Lambda::EventSourceMapping",
                                        "AWS::Lambda::EventInvokeConfig"):
                    continue
                self.assertNotIn(property_name, resource.get("Properties", {}), name)


class RawClicks(unittest.TestCase):
    def test_bucket(self):
        bucket = production().properties("Storage.RawBucket")
        access = bucket["PublicAccessBlockConfiguration"]
        self.assertEqual(set(access.values()), {True})
        self.assertEqual(len(access), 4)
        owner = bucket["OwnershipControls"]
        self.assertEqual(owner, {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]})
        rules = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        expected = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
        self.assertEqual(rules[0]["ServerSideEncryptionByDefault"], expected)
        self.assertIs(rules[0]["BucketKeyEnabled"], True)
        default = plain().properties("Storage.RawBucket")["BucketEncryption"]
        rules = default["ServerSideEncryptionConfiguration"]
        self.assertEqual(rules, [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}])

    def test_lifecycle(self):
        bucket = production().properties("Storage.RawBucket")
        rules = {rule["Prefix"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]
                 if "Prefix" in rule}
        days = {prefix: rule["ExpirationInDays"] for prefix, rule in rules.items()}
        self.assertEqual(days, {"raw/": "30", "exports/": 7})
        states = {rule["Status"] for rule in bucket["LifecycleConfiguration"]["Rules"]}
        self.assertEqual(states, {"Enabled"})

    def test_nothing_expires_that_is_still_needed(self):
        # An object is read when its batches are booked and when their last window closes. Lifecycle
        # rules know of neither, so what they leave must be ample: all of it, a day for one that is
        # missing to be found again, and a long weekend until somebody repairs what does not run.
        needed_ms = 5 * 24 * 60 * 60 * 1000 + sum(
            constant(path, name)
            for path, name in (
                ("lambdas/service/src/counting/window.rs", "WINDOW_MS"),
                ("lambdas/service/src/counting/window.rs", "GRACE_MS"),
                ("lambdas/aws/src/counters/inbox.rs", "MISSED_MS"),
            )
        )
        stack = production()
        fewest_days = stack.parameters["RawRetentionDays"]["MinValue"]
        self.assertGreaterEqual(fewest_days * 24 * 60 * 60 * 1000, needed_ms)
        # Rows of batches go by the same number of days, whoever cleans up or answers for them.
        variable = "WAYPOST_RAW_RETENTION_DAYS"
        for name in ("Api.ApiFunction", "Upkeep.CleanupFunction"):
            variables = stack.properties(name)["Environment"]["Variables"]
            self.assertEqual(variables[variable], "30", name)
        # No other rule takes what begins alike.
        rules = stack.properties("Storage.RawBucket")["LifecycleConfiguration"]["Rules"]
        expiring = [rule["Prefix"] for rule in rules if "ExpirationInDays" in rule]
        taking = [prefix for prefix in expiring if "raw/".startswith(prefix[:4])]
        self.assertEqual(taking, ["raw/"])
        for rule in rules:
            kinds = set(rule) - {"Id", "Status", "Prefix"}
            self.assertIn(kinds, ({"ExpirationInDays"}, {"AbortIncompleteMultipartUpload"}))

    def test_tls_only(self):
        policy = production().properties("Storage.RawBucketPolicy")["PolicyDocument"]
        (statement,) = policy["Statement"]
        self.assertEqual(statement["Effect"], "Deny")
        self.assertEqual((statement["Principal"], statement["Action"]), ("*", "s3:*"))
        bucket = {"Fn::GetAtt": ["RawBucket", "Arn"]}
        self.assertEqual(statement["Resource"], [bucket, {"Fn::Sub": "${RawBucket.Arn}/*"}])
        self.assertEqual(statement["Condition"], {"Bool": {"aws:SecureTransport": "false"}})


class Secrets(unittest.TestCase):
    # Which characters a generated secret has, and how many.
    GENERATED = {
        "AdminKeySecret": (40, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        "EdgeKeysSecret": (64, "0123456789abcdef"),
        "SealKeysSecret": (64, "0123456789abcdef"),
    }

    def test_are_generated(self):
        visible = {chr(code) for code in range(33, 127)}
        for name, (length, characters) in self.GENERATED.items():
            with self.subTest(name):
                secret = plain().properties(f"Storage.{name}")
                self.assertNotIn("SecretString", secret)
                rule = secret["GenerateSecretString"]
                self.assertEqual(rule["PasswordLength"], length)
                left = visible - set(rule["ExcludeCharacters"])
                self.assertEqual(left, set(characters))
                # One of each kind is asked for unless the kind is left out.
                self.assertIs(rule.get("ExcludePunctuation"), True)
                has_capitals = any(character.isupper() for character in characters)
                self.assertIs(rule.get("ExcludeUppercase", False), not has_capitals)

    def test_can_be_given_and_have_the_customers_key(self):
        given = {
            "AdminKey": "k" * 20,
            "EdgeKeys": KEYS,
            "SealKeys": f"1:{'0' * 64}",
            "EdgeTokens": '{"A": "b"}',
        }
        stack = Stack(**GIVEN, **given)
        for name, text in given.items():
            secret = stack.properties(f"Storage.{name}Secret")
            self.assertEqual(secret["SecretString"], text)
            self.assertNotIn("GenerateSecretString", secret)
            self.assertEqual(secret["KmsKeyId"], KEY)
            self.assertIs(stack.parameters[name]["NoEcho"], True)


if __name__ == "__main__":
    unittest.main()
