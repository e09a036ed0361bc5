"""Rights: each role names its actions and resources, and has no more than its function does."""

import re
import unittest

from stack import FUNCTIONS, GIVEN, REPO, plain, production

# What IAM knows no resource for (Service Authorization Reference).
WITHOUT_RESOURCE = {
    "xray:PutTraceSegments", "xray:PutTelemetryRecords", "cloudwatch:DescribeAlarms",
}
# Objects below a folder, and streams, have names that come with time.
NAMED_LATER = ("${RawBucketArn}/raw/*", "${RawBucketArn}/exports/*", "${LinksTableArn}/stream/*")
# The same as without the star on AWS; an action of its own for batches elsewhere.
STARRED_ACTIONS = {"sqs:SendMessage*"}

READ = {"GetItem", "BatchGetItem", "Query"}
# Of those who read links by the hundred only.
READ_MANY = {"BatchGetItem", "Query"}
WRITE = READ | {"PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"}
WRITE_MANY = WRITE | {"BatchWriteItem"}

# What functions may do with tables.
TABLES = {
    "Aggregate": {"Counters": {"BatchWriteItem"}},
    "Api": {"Links": WRITE, "Control": WRITE, "Counters": WRITE_MANY},
    "Cleanup": {"Links": WRITE, "Control": WRITE, "Counters": WRITE_MANY},
    "Export": {"Links": READ_MANY, "Counters": READ},
    "Publish": {
        "Links": READ_MANY, "Counters": {"GetItem", "PutItem", "BatchWriteItem", "Query"},
    },
    "Reconcile": {"Links": READ_MANY, "Control": {"GetItem", "PutItem", "DeleteItem"}},
    "Rollup": {"Counters": WRITE_MANY},
}
INDICES = {
    "Api": {
        "Links": {"by_created", "by_updated", "by_expires", "by_quarantine_end", "by_recompile",
                  "by_transition"},
        "Control": {"by_expires"},
        "Counters": {"by_last_use"},
    },
    "Cleanup": {
        "Links": {"by_expires", "by_quarantine_end", "by_recompile", "by_transition"},
        "Control": {"by_expires"},
        "Counters": {"by_last_use"},
    },
    "Export": {"Links": {"by_created"}},
    "Publish": {"Links": {"by_updated"}},
    "Reconcile": {"Links": {"by_created"}},
}
OBJECTS = {
    "Aggregate": {"raw": {"PutObject"}},
    "Api": {"raw": {"GetObject", "PutObject"}},
    "Cleanup": {"raw": {"GetObject"}},
    "Export": {"exports": {"PutObject"}, "raw": {"GetObject"}},
    "Rollup": {"raw": {"GetObject"}},
}
TAKE = {"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"}
SEND = {"SendMessage*"}
QUEUES = {
    "Aggregate": {"ClicksQueue": TAKE},
    "Cleanup": {"CleanupQueue": TAKE},
    "Publish": {"CleanupQueue": SEND, "ChangesDeadLetters": SEND},
}


def listed(value):
    return value if isinstance(value, list) else [value]


def text(resource):
    """A resource as one text."""
    if isinstance(resource, dict):
        ((kind, value),) = resource.items()
        return value if kind == "Fn::Sub" else ".".join(listed(value))
    return resource


def statements(policies):
    """Actions and resources of all statements."""
    for policy in policies:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow" and "NotAction" not in statement, statement
            assert "NotResource" not in statement, statement
            yield set(listed(statement["Action"])), [text(r) for r in listed(statement["Resource"])]


def granted(function):
    """Actions for each resource of a function's role."""
    stack = production()
    rights = {}
    for actions, resources in statements(stack.properties(stack.role(function))["Policies"]):
        for resource in resources:
            rights.setdefault(resource, set()).update(actions)
    return rights


def below(rights, pattern, service):
    """Actions of a service for what a pattern finds, by what it finds."""
    found = {}
    for resource, actions in rights.items():
        match = re.fullmatch(pattern, resource)
        if match:
            names = {action.removeprefix(f"{service}:") for action in actions}
            found.setdefault(match.group(1), set()).update(names)
    return found


class Rights(unittest.TestCase):
    maxDiff = None

    def policies(self):
        stack = production()
        for kind in ("AWS::IAM::Role", "AWS::IAM::User"):
            for name, holder in stack.of(kind).items():
                yield name, holder.get("Policies", [])
        for name, policy in stack.of("AWS::IAM::ManagedPolicy").items():
            yield name, [policy]

    def test_name_what_can_be_named(self):
        seen = 0
        for name, policies in self.policies():
            for actions, resources in statements(policies):
                seen += 1
                if "*" in resources:
                    self.assertLessEqual(actions, WITHOUT_RESOURCE, name)
                    continue
                for resource in resources:
                    if "*" in resource:
                        self.assertIn(resource, NAMED_LATER, name)
        self.assertGreater(seen, 30)

    def test_name_their_actions(self):
        for name, policies in self.policies():
            for actions, _ in statements(policies):
                starred = {action for action in actions if "*" in action}
                self.assertLessEqual(starred, STARRED_ACTIONS, name)

    def test_come_from_nowhere_else(self):
        stack = production()
        for name, role in stack.of("AWS::IAM::Role").items():
            attached = role.get("ManagedPolicyArns", [])
            is_function = name.split(".")[1].removesuffix("Role") in FUNCTIONS
            self.assertEqual(attached, ["Storage.KeyPolicyArn"] if is_function else [], name)
        for name, role in plain().of("AWS::IAM::Role").items():
            self.assertNotIn("ManagedPolicyArns", role, name)
        self.assertEqual(stack.of("AWS::IAM::Policy"), {})

    def test_are_bounded_if_asked_for(self):
        for name, role in production().of("AWS::IAM::Role").items():
            self.assertEqual(role["PermissionsBoundary"], GIVEN["PermissionsBoundary"], name)
        for name, role in plain().of("AWS::IAM::Role").items():
            self.assertNotIn("PermissionsBoundary", role, name)

    def test_are_taken_by_services(self):
        services = {
            "ShiftRole": "codedeploy.amazonaws.com",
            **{f"{name}Role": "lambda.amazonaws.com" for name in FUNCTIONS},
        }
        for name, role in production().of("AWS::IAM::Role").items():
            (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
            service = services.get(name.split(".")[1], "scheduler.amazonaws.com")
            self.assertEqual(listed(statement["Principal"]["Service"]), [service], name)

    def test_each_function_has_a_role_of_its_own(self):
        roles = [f["Role"]["Fn::GetAtt"][0] for f in production().functions().values()]
        self.assertEqual(sorted(roles), sorted(f"{name}Role" for name in FUNCTIONS))


class OfFunctions(unittest.TestCase):
    maxDiff = None

    def test_on_tables(self):
        for name in FUNCTIONS:
            found = below(granted(name), r"Storage\.(\w+)TableArn", "dynamodb")
            self.assertEqual(found, TABLES[name], name)

    def test_of_reconcile_on_control_are_for_its_bookmarks(self):
        stack = production()
        (policy,) = stack.properties(stack.role("Reconcile"))["Policies"]
        bound = [
            (listed(statement["Action"]), statement["Condition"])
            for statement in policy["PolicyDocument"]["Statement"]
            if "Condition" in statement
        ]
        condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "bookmark#*"}}
        actions = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]
        self.assertEqual(bound, [(actions, condition)])
        code = (REPO / "lambdas/aws/src/control/bookmark.rs").read_text()
        self.assertIn('format!("bookmark#{store}")', code)

    def test_on_indices(self):
        for name in FUNCTIONS:
            found = {}
            for resource in granted(name):
                match = re.fullmatch(r"\$\{(\w+)TableArn\}/index/(\w+)", resource)
                if match:
                    found.setdefault(match.group(1), set()).add(match.group(2))
            self.assertEqual(found, INDICES.get(name, {}), name)

    def test_on_objects(self):
        for name in FUNCTIONS:
            found = below(granted(name), r"\$\{RawBucketArn\}/(\w+)/\*", "s3")
            self.assertEqual(found, OBJECTS.get(name, {}), name)

    def test_on_queues(self):
        for name in FUNCTIONS:
            found = below(granted(name), r"Queues\.(\w+)Arn", "sqs")
            self.assertEqual(found, QUEUES.get(name, {}), name)

    def test_on_secrets_are_those_it_is_told_of(self):
        for name, function in production().functions().items():
            readable = below(granted(name), r"Storage\.(\w+SecretArn)", "secretsmanager")
            for actions in readable.values():
                self.assertEqual(actions, {"GetSecretValue"})
            told = {
                value.removeprefix("Storage.")
                for key, value in function["Environment"]["Variables"].items()
                if key.endswith("_SECRET")
            }
            self.assertEqual(set(readable), told, name)

    def test_on_the_stream_are_publish_s(self):
        for name in FUNCTIONS:
            rights = granted(name)
            found = rights.get("Storage.LinksStreamArn", set())
            read = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}
            self.assertEqual(found, read if name == "Publish" else set(), name)
        listing = granted("Publish")["${LinksTableArn}/stream/*"]
        self.assertEqual(listing, {"dynamodb:ListStreams"})

    def test_on_the_table_of_an_edge(self):
        write = {"BatchGetItem", "PutItem", "DeleteItem"}
        for name in FUNCTIONS:
            found = granted(name).get(GIVEN["EdgeTableArn"], set())
            writes = name in ("Publish", "Reconcile")
            self.assertEqual(found, {f"dynamodb:{a}" for a in write} if writes else set(), name)

    def test_list_objects_to_know_that_one_is_gone(self):
        for name in FUNCTIONS:
            found = granted(name).get("Storage.RawBucketArn", set())
            reads = name in ("Api", "Cleanup", "Export", "Rollup")
            self.assertEqual(found, {"s3:ListBucket"} if reads else set(), name)

    def test_on_nothing_else(self):
        known = (
            r"Storage\.\w+TableArn", r"\$\{\w+TableArn\}/index/\w+", r"\$\{RawBucketArn\}/\w+/\*",
            r"Queues\.\w+Arn", r"Storage\.RawBucketArn", r"Storage\.\w+SecretArn",
            r"Storage\.LinksStreamArn",
            r"\$\{LinksTableArn\}/stream/\*", r"\w+LogGroup\.Arn", r"\*",
            re.escape(GIVEN["EdgeTableArn"]),
        )
        for name in FUNCTIONS:
            for resource in granted(name):
                fits = any(re.fullmatch(pattern, resource) for pattern in known)
                self.assertTrue(fits, f"{name}: {resource}")
            own = granted(name)[f"{name}LogGroup.Arn"]
            self.assertEqual(own, {"logs:CreateLogStream", "logs:PutLogEvents"})


class OfTheCustomersKey(unittest.TestCase):
    def test_are_bound_to_services(self):
        policy = production().properties("Storage.KeyPolicy")["PolicyDocument"]
        for statement in policy["Statement"]:
            self.assertEqual(statement["Resource"], GIVEN["CustomerKeyArn"])
            services = listed(statement["Condition"]["StringEquals"]["kms:ViaService"])
            for service in services:
                # As services are called wherever AWS is, in China too.
                self.assertRegex(text(service), r"^\w+\.\$\{AWS::Region\}\.\$\{AWS::URLSuffix\}$")
        self.assertEqual(plain().of("AWS::IAM::ManagedPolicy"), {})


if __name__ == "__main__":
    unittest.main()
