"""Alarms: each named condition, its limit, and that somebody is told."""

import json
import re
import unittest

from stack import FUNCTIONS, Stack, plain, production

FUNCTION_ERRORS = {
    # Runs all the time, and what fails is tried again: two failures in 15 minutes.
    **{f"Alarms.{name}ErrorsAlarm": (name, 900, 2) for name in ("Aggregate", "Rollup", "Publish")},
    **{f"Alarms.{name}ErrorsAlarm": (name, 3600, 1) for name in ("Reconcile", "Cleanup", "Export")},
}
# They end a deployment and tell nobody; test_api.py has them.
OF_DEPLOYMENTS = {"Api.ShiftErrorsAlarm", "Api.ShiftLatencyAlarm"}
OVER = "GreaterThanThreshold"
OF_STACK = {"Stack": "AWS::StackName"}

# Namespace, metric, dimensions, statistic, period, periods, comparison, threshold, missing data.
ALARMS = {
    "Api.ApiLatencyAlarm": (
        "AWS/ApiGateway", "Latency", {"ApiId": {"Ref": "HttpApi"}}, "p95", 300, 3, OVER, "100",
        "notBreaching",
    ),
    "Alarms.ClicksQueueAgeAlarm": (
        "AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": "Queues.ClicksQueueName"},
        "Maximum", 60, 5, OVER, "300", "notBreaching",
    ),
    "Alarms.RollupStandsStillAlarm": (
        "AWS/Lambda", "Invocations", {"FunctionName": "Counting.RollupFunction"}, "Sum", 300, 3,
        "LessThanThreshold", 1, "breaching",
    ),
    **{
        f"Alarms.{name}Alarm": (
            "AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": f"Queues.{name}Name"},
            "Maximum", 60, 1, OVER, 0, "notBreaching",
        )
        for name in ("ClicksDeadLetters", "CleanupDeadLetters", "ChangesDeadLetters")
    },
    "Alarms.PublishAgeAlarm": (
        "AWS/Lambda", "IteratorAge", {"FunctionName": "Upkeep.PublishFunction"}, "Maximum", 60, 5,
        OVER, 60000, "notBreaching",
    ),
    "Alarms.ReplicationLagAlarm": (
        "Waypost", "ReplicationLagMs", {**OF_STACK, "Function": "publish"}, "p95", 300, 2, OVER,
        30000, "notBreaching",
    ),
    **{
        f"Alarms.{name}Alarm": (
            "Waypost", metric, {**OF_STACK, "Function": function}, statistic, period, periods,
            OVER, 0, "notBreaching",
        )
        for name, metric, function, statistic, period, periods in (
            ("ReplicationFailures", "ReplicationFailures", "publish", "Sum", 300, 3),
            ("StateFailures", "StateFailures", "publish", "Sum", 300, 3),
            ("ReconcileFaults", "Faults", "reconcile", "Maximum", 3600, 1),
            ("ReconcileFailures", "KeysFailed", "reconcile", "Maximum", 3600, 1),
        )
    },
    "Alarms.EdgeStoreDriftAlarm": (
        "Waypost", "EdgeStoreDrift", {**OF_STACK, "Function": "reconcile"}, "Maximum", 3600, 2,
        OVER, 0, "notBreaching",
    ),
    "Alarms.ApiThrottlesAlarm": (
        "AWS/Lambda", "Throttles", {"FunctionName": "Api.ApiFunction"}, "Sum", 300, 1, OVER, 0,
        "notBreaching",
    ),
    **{
        alarm: (
            "AWS/Lambda", "Errors",
            {"FunctionName": f"{'Upkeep' if period == 3600 or name == 'Publish' else 'Counting'}"
                             f".{name}Function"},
            "Sum", period, 1, "GreaterThanOrEqualToThreshold", count, "notBreaching",
        )
        for alarm, (name, period, count) in FUNCTION_ERRORS.items()
    },
}


def summary(alarm):
    dimensions = {d["Name"]: d["Value"] for d in alarm["Dimensions"]}
    statistic = alarm.get("Statistic") or alarm["ExtendedStatistic"]
    return (
        alarm["Namespace"], alarm["MetricName"], dimensions, statistic, alarm["Period"],
        alarm["EvaluationPeriods"], alarm["ComparisonOperator"], alarm["Threshold"],
        alarm["TreatMissingData"],
    )


class Alarms(unittest.TestCase):
    maxDiff = None

    def test_are_these(self):
        alarms = production().of("AWS::CloudWatch::Alarm")
        alarms = {n: alarm for n, alarm in alarms.items() if n not in OF_DEPLOYMENTS}
        found = {n: summary(alarm) for n, alarm in alarms.items() if "Metrics" not in alarm}
        self.assertEqual(found, ALARMS)
        self.assertEqual(set(alarms) - set(found), {"Api.ApiErrorsAlarm", "Alarms.LostClicksAlarm"})

    def test_share_of_errors(self):
        alarm = production().properties("Api.ApiErrorsAlarm")
        metrics = {metric["Id"]: metric for metric in alarm["Metrics"]}
        self.assertEqual(
            metrics["share"]["Expression"], "IF(requests > 0, 100 * errors / requests, 0)"
        )
        for identity, name in (("errors", "5xx"), ("requests", "Count")):
            stat = metrics[identity]["MetricStat"]
            self.assertIs(metrics[identity]["ReturnData"], False)
            self.assertEqual((stat["Period"], stat["Stat"]), (300, "Sum"))
            expected = {
                "Namespace": "AWS/ApiGateway",
                "MetricName": name,
                "Dimensions": [{"Name": "ApiId", "Value": {"Ref": "HttpApi"}}],
            }
            self.assertEqual(stat["Metric"], expected)
        self.assertEqual((alarm["ComparisonOperator"], alarm["Threshold"]), (OVER, "0.1"))
        self.assertEqual(alarm["EvaluationPeriods"], 1)
        without = Stack(PublicUrl="https://go.example", ApiErrorPercent="0")
        self.assertNotIn("Api.ApiErrorsAlarm", without.resources)

    def test_lost_clicks(self):
        alarm = production().properties("Alarms.LostClicksAlarm")
        more, lost = alarm["Metrics"]
        self.assertEqual((more["Expression"], lost["Id"]), ("DIFF(lost)", "lost"))
        self.assertIs(lost["ReturnData"], False)
        stat = lost["MetricStat"]
        self.assertEqual((stat["Period"], stat["Stat"]), (300, "Maximum"))
        dimensions = {d["Name"]: d["Value"] for d in stat["Metric"]["Dimensions"]}
        self.assertEqual(dimensions, {**OF_STACK, "Function": "rollup"})
        metric = (stat["Metric"]["Namespace"], stat["Metric"]["MetricName"])
        self.assertEqual(metric, ("Waypost", "ClicksLost"))
        self.assertEqual(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold")
        self.assertEqual((alarm["Threshold"], alarm["EvaluationPeriods"]), ("1", 1))
        without = Stack(PublicUrl="https://go.example", LostClicks="0")
        self.assertNotIn("Alarms.LostClicksAlarm", without.resources)

    def test_tell_somebody(self):
        stack = production()
        for name, alarm in stack.of("AWS::CloudWatch::Alarm").items():
            if name in OF_DEPLOYMENTS:
                continue
            self.assertEqual(alarm["AlarmActions"], ["Queues.AlarmTopicArn"], name)
            self.assertEqual(alarm["OKActions"], ["Queues.AlarmTopicArn"], name)
            self.assertIsNot(alarm.get("ActionsEnabled"), False, name)
            self.assertTrue(alarm["AlarmDescription"], name)
        subscription = stack.properties("Queues.AlarmEmailSubscription")
        self.assertEqual(subscription["Endpoint"], "ops@go.example")
        self.assertEqual(subscription["TopicArn"], {"Ref": "AlarmTopic"})
        self.assertEqual(plain().of("AWS::SNS::Subscription"), {})

    def test_of_standing_still_are_silent_while_schedules_are_off(self):
        stack = Stack(PublicUrl="https://go.example", Schedules="DISABLED")
        alarm = stack.properties("Alarms.RollupStandsStillAlarm")
        self.assertIs(alarm["ActionsEnabled"], False)


class Dashboard(unittest.TestCase):
    def body(self):
        text = production().properties("Alarms.Dashboard")["DashboardBody"]["Fn::Sub"]
        return json.loads(re.sub(r"\$\{([^}]+)\}", r"\1", text))

    def test_shows_every_function_queue_and_table(self):
        shown = json.dumps(self.body())
        functions = {f"{name}Function" for name in FUNCTIONS}
        of_functions = [
            {metric[3] for metric in widget["properties"]["metrics"]}
            for widget in self.body()["widgets"]
            if widget["properties"]["title"].startswith("Functions: ")
        ]
        self.assertEqual(of_functions, [functions, functions])
        for queue in ("Clicks", "Cleanup"):
            self.assertIn(f'"{queue}QueueName"', shown)
        for queue in ("Clicks", "Cleanup", "Changes"):
            self.assertIn(f'"{queue}DeadLettersName"', shown)
        for table in ("Links", "Control", "Counters"):
            self.assertIn(f'"{table}Table"', shown)

    def test_has_a_name_for_each_region(self):
        name = production().properties("Alarms.Dashboard")["DashboardName"]
        self.assertEqual(name, {"Fn::Sub": "${StackLabel}-${AWS::Region}"})

    def test_widgets_do_not_overlap(self):
        taken = set()
        for widget in self.body()["widgets"]:
            x, y = widget["x"], widget["y"]
            cells = {
                (x + i, y + j) for i in range(widget["width"]) for j in range(widget["height"])
            }
            self.assertFalse(taken & cells, widget["properties"]["title"])
            self.assertLessEqual(x + widget["width"], 24)
            taken |= cells

    def test_metrics_have_no_dimension_that_grows_with_links(self):
        allowed = {"ApiId", "FunctionName", "QueueName", "TableName", "Stack", "Function"}
        for widget in self.body()["widgets"]:
            for metric in widget["properties"]["metrics"]:
                names = [part for part in metric[2:] if isinstance(part, str)][::2]
                self.assertLessEqual(set(names), allowed)
        for alarm in production().of("AWS::CloudWatch::Alarm").values():
            names = {dimension["Name"] for dimension in alarm.get("Dimensions", [])}
            self.assertLessEqual(names, allowed)


if __name__ == "__main__":
    unittest.main()
