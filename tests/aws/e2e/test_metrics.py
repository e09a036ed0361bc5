"""Metrics: what alarms and the dashboard read is what functions write."""

import pathlib
import re
import unittest

from deployment import wait_until
from world import ATTEMPT_SECONDS, driving, event, world

INFRA = pathlib.Path(__file__).resolve().parents[3] / "infra"


def read():
    """Names of our own metrics that alarms or the dashboard read, by function."""
    text = (INFRA / "alarms.yaml").read_text()
    alarms = re.findall(
        r"MetricName: (\w+)\n\s+Dimensions:\n\s+- \{ Name: Stack, Value: !Ref StackLabel \}\n"
        r"\s+- \{ Name: Function, Value: (\w+) \}",
        text,
    )
    shown = re.findall(
        r'\["Waypost", "(\w+)", "Stack", "\$\{StackLabel\}", "Function", "(\w+)"', text
    )
    names = {}
    for name, function in alarms + shown:
        names.setdefault(function, set()).add(name)
    return names


def written(function):
    """Names of metrics that a function's log has for its stack, all with a number."""
    lines = world().metrics(function)
    return {
        name for line in lines for name, value in line.items() if isinstance(value, (int, float))
    }


class Metrics(unittest.TestCase):
    def test_that_are_read_are_written(self):
        wanted = read()
        self.assertEqual(sorted(wanted), ["publish", "reconcile", "rollup"])
        with driving("metrics of alarms and dashboard in the logs", "all there"):
            world().create(tags=["e2e-metrics"])
            world().roll_up()
            world().stack.invoke("Reconcile", event("schedule-reconcile"))
            for function, names in wanted.items():
                wait_until(
                    lambda: names <= written(function), ATTEMPT_SECONDS,
                    f"{function} writes {sorted(names)}",
                )


if __name__ == "__main__":
    unittest.main()
