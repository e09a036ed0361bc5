"""Functions: what runs when, with what, one at a time where it must, and what failing leads to."""

import json
import unittest

import translate
from stack import FUNCTIONS, GIVEN, REPO, Stack, plain, production

# Everywhere; functions have more.
ENVIRONMENT = {
    "WAYPOST_STACK": "AWS::StackName",
    "WAYPOST_LOG_LEVEL": "info",
    "WAYPOST_LINKS_TABLE": "Storage.LinksTable",
    "WAYPOST_CONTROL_TABLE": "Storage.ControlTable",
    "WAYPOST_COUNTERS_TABLE": "Storage.CountersTable",
    "WAYPOST_RAW_BUCKET": "Storage.RawBucket",
    "WAYPOST_PUBLIC_URL": "https://go.example",
    "WAYPOST_DOMAINS": "qr.example",
    "WAYPOST_CODE_STRATEGY": "random",
    "WAYPOST_SLUG_SLASHES": "false",
    "WAYPOST_DEFAULT_STATUS": "302",
    "WAYPOST_APP_SCHEMES": "myapp",
    "WAYPOST_ALLOW_PRIVATE_DESTINATIONS": "false",
    "WAYPOST_EXPIRED_GRACE_DAYS": "30",
    "WAYPOST_QUARANTINE_DAYS": "90",
    "WAYPOST_UNUSED_AFTER_DAYS": "182",
    "WAYPOST_RAW_RETENTION_DAYS": "30",
    "WAYPOST_FOLD_UNDER": "5",
    "WAYPOST_EDIT_DELAY_SECONDS": "90",
    "WAYPOST_UNLOCK_SECONDS": "3600",
}
CLEANUP_QUEUE = {"WAYPOST_CLEANUP_QUEUE_URL": "Queues.CleanupQueueUrl"}
EDGE_KEYS = {"WAYPOST_EDGE_KEYS_SECRET": "Storage.EdgeKeysSecretArn"}
EDGE_STORES = {
    "WAYPOST_EDGE_STORES": "cloudflare account=a namespace=n",
    "WAYPOST_EDGE_TOKENS_SECRET": "Storage.EdgeTokensSecretArn",
}
SEAL_KEYS = {"WAYPOST_SEAL_KEYS_SECRET": "Storage.SealKeysSecretArn"}
MORE = {
    "Aggregate": {},
    "Api": {
        **EDGE_KEYS,
        **SEAL_KEYS,
        "WAYPOST_ADMIN_KEY_SECRET": "Storage.AdminKeySecretArn",
        "WAYPOST_API_REQUESTS_PER_MINUTE": "1000",
        "WAYPOST_API_WRONG_KEYS_PER_QUARTER_HOUR": "100",
    },
    "Cleanup": {**EDGE_KEYS, **SEAL_KEYS},
    "Export": {**EDGE_KEYS, **SEAL_KEYS},
    "Publish": {**EDGE_KEYS, **SEAL_KEYS, **EDGE_STORES, **CLEANUP_QUEUE},
    "Reconcile": {**EDGE_KEYS, **SEAL_KEYS, **EDGE_STORES},
    "Rollup": {},
}
AT_A_TIME = {"Rollup": 1, "Publish": 1, "Reconcile": 1, "Cleanup": 3}


class Functions(unittest.TestCase):
    maxDiff = None

    def test_are_these(self):
        self.assertEqual(sorted(production().functions()), sorted(FUNCTIONS))

    def test_run_the_program_of_their_name(self):
        for name, function in production().functions().items():
            with self.subTest(name):
                self.assertEqual(function["Runtime"], "provided.al2023")
                self.assertEqual(function["Handler"], "bootstrap")
                self.assertEqual(function["Architectures"], ["arm64"])
        x86 = Stack(PublicUrl="https://go.example", Architecture="x86_64")
        for name, function in x86.functions().items():
            self.assertEqual(function["Architectures"], ["x86_64"], name)

    def test_are_built_by_cargo_lambda_from_the_program_of_their_name(self):
        built = {}
        for part in ("api", "counting", "upkeep"):
            template = translate.read(REPO / f"infra/{part}.yaml")
            for name, resource in template["Resources"].items():
                if resource["Type"] == "AWS::Serverless::Function":
                    built[name.removesuffix("Function")] = resource["Metadata"]
                    source = resource["Properties"]["CodeUri"]
                    self.assertTrue((REPO / "infra" / source / "Cargo.toml").is_file())
        expected = {
            name: {
                "BuildMethod": "rust-cargolambda",
                "BuildProperties": {"Binary": name.lower()},
            }
            for name in FUNCTIONS
        }
        self.assertEqual(built, expected)

    def test_have_what_they_need(self):
        stack = Stack(
            **GIVEN, Domains="qr.example", AppSchemes="myapp",
            EdgeStores="cloudflare account=a namespace=n",
        )
        for name, function in stack.functions().items():
            variables = function["Environment"]["Variables"]
            self.assertEqual(variables, {**ENVIRONMENT, **MORE[name]}, name)

    def test_settings_that_are_not_given_are_not_set(self):
        for name, function in plain().functions().items():
            variables = function["Environment"]["Variables"]
            self.assertNotIn("WAYPOST_DOMAINS", variables, name)
            self.assertNotIn("WAYPOST_APP_SCHEMES", variables, name)
            self.assertNotIn("WAYPOST_EDGE_STORES", variables, name)
            self.assertNotIn("", variables.values(), name)

    def test_log_and_trace(self):
        stack = production()
        for name, function in stack.functions().items():
            with self.subTest(name):
                self.assertEqual(function["TracingConfig"], {"Mode": "Active"})
                log = {
                    "LogGroup": {"Ref": f"{name}LogGroup"},
                    "LogFormat": "JSON",
                    "ApplicationLogLevel": "TRACE",
                    # With reports of runs and starts.
                    "SystemLogLevel": "INFO",
                }
                self.assertEqual(function["LoggingConfig"], log)
        groups = stack.of("AWS::Logs::LogGroup")
        self.assertEqual(len(groups), len(FUNCTIONS) + 1)
        for name, group in groups.items():
            self.assertEqual(group["RetentionInDays"], "30", name)

    def test_run_at_most_so_often_at_a_time(self):
        for name, function in production().functions().items():
            count = function.get("ReservedConcurrentExecutions")
            self.assertEqual(count, AT_A_TIME.get(name), name)
        without = Stack(PublicUrl="https://go.example", ReserveConcurrency="false")
        for name, function in without.functions().items():
            self.assertNotIn("ReservedConcurrentExecutions", function, name)


class Events(unittest.TestCase):
    def mapping(self, name):
        mapping = dict(production().properties(name))
        mapping.pop("FunctionName")
        mapping.pop("Tags", None)
        return mapping

    def test_are_these(self):
        mappings = sorted(production().of("AWS::Lambda::EventSourceMapping"))
        expected = ["Counting.AggregateFunctionClicks", "Upkeep.CleanupFunctionDeleted",
                    "Upkeep.PublishFunctionChanges"]
        self.assertEqual(mappings, expected)

    def test_clicks(self):
        expected = {
            "EventSourceArn": "Queues.ClicksQueueArn",
            "BatchSize": 10000,
            "MaximumBatchingWindowInSeconds": 5,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 10},
        }
        self.assertEqual(self.mapping("Counting.AggregateFunctionClicks"), expected)

    def test_deleted_links(self):
        expected = {
            "EventSourceArn": "Queues.CleanupQueueArn",
            "BatchSize": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 2},
        }
        self.assertEqual(self.mapping("Upkeep.CleanupFunctionDeleted"), expected)

    def test_changes_of_links(self):
        expected = {
            "EventSourceArn": "Storage.LinksStreamArn",
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 1000,
            "MaximumBatchingWindowInSeconds": 1,
            "ParallelizationFactor": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": 20,
            "MaximumRecordAgeInSeconds": 3600,
            "DestinationConfig": {"OnFailure": {"Destination": "Queues.ChangesDeadLettersArn"}},
        }
        self.assertEqual(self.mapping("Upkeep.PublishFunctionChanges"), expected)


class Schedules(unittest.TestCase):
    EXPECTED = {
        "RollupFunctionEveryMinute": ("rate(1 minute)", "rollup", 0, 60),
        "PublishFunctionState": ("rate(1 minute)", "state", 0, 60),
        "ReconcileFunctionHourly": ("rate(1 hour)", "reconcile", 0, 60),
        "CleanupFunctionDaily": ("cron(0 2 * * ? *)", "cleanup", 3, 3600),
    }

    def test_are_these(self):
        schedules = {
            name.split(".")[1]: properties
            for name, properties in production().of("AWS::Scheduler::Schedule").items()
        }
        found = {}
        for name, schedule in schedules.items():
            retry = schedule["Target"]["RetryPolicy"]
            found[name] = (
                schedule["ScheduleExpression"],
                json.loads(schedule["Target"]["Input"])["task"],
                retry["MaximumRetryAttempts"],
                retry["MaximumEventAgeInSeconds"],
            )
            self.assertEqual(schedule["FlexibleTimeWindow"], {"Mode": "OFF"})
            self.assertEqual(schedule["State"], "ENABLED")
        self.assertEqual(found, self.EXPECTED)

    def test_send_what_functions_are_tested_with(self):
        stack = production()
        inputs = [s["Target"]["Input"] for s in stack.of("AWS::Scheduler::Schedule").values()]
        for sent in map(json.loads, inputs):
            event = (REPO / f"tests/events/schedule-{sent['task']}.json").read_text()
            self.assertEqual(sent, json.loads(event))

    def test_can_be_switched_off(self):
        stack = Stack(PublicUrl="https://go.example", Schedules="DISABLED")
        states = {s["State"] for s in stack.of("AWS::Scheduler::Schedule").values()}
        self.assertEqual(states, {"DISABLED"})

    def test_start_their_function_and_nothing_else(self):
        stack = production()
        for name in stack.of("AWS::Scheduler::Schedule"):
            role = stack.properties(f"{name}Role")
            (policy,) = role["Policies"]
            (statement,) = policy["PolicyDocument"]["Statement"]
            function = stack.properties(name)["Target"]["Arn"]
            expected = {
                "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function,
            }
            self.assertEqual(statement, expected)
            self.assertEqual(role["PermissionsBoundary"], GIVEN["PermissionsBoundary"])

    def test_failing_runs(self):
        found = {
            name.split(".")[1].removesuffix("FunctionEventInvokeConfig"):
                (config["MaximumRetryAttempts"], config.get("MaximumEventAgeInSeconds"))
            for name, config in production().of("AWS::Lambda::EventInvokeConfig").items()
        }
        expected = {
            "Rollup": (0, 60), "Publish": (0, 60), "Reconcile": (0, 60), "Cleanup": (2, 3600),
            "Export": (1, None),
        }
        self.assertEqual(found, expected)


if __name__ == "__main__":
    unittest.main()
