"""Parameters, outputs and samconfig.toml: what a platform engineer types and gets."""

import json
import os
import re
import subprocess
import unittest

import translate
from stack import REPO, plain, production

SECRETS = {"AdminKey", "EdgeKeys", "EdgeTokens", "SealKeys"}
SHORT = [f"{name}:{'0' * 32}" for name in ("check", "sequence", "sticky")]
LONG = [f"{name}:{'a' * 64}" for name in ("cookie", "origin")]
# What is right and what is refused.
EXAMPLES = {
    "PublicUrl": (
        ["https://go.example", "http://localhost:8787", "https://go-2.example:8443"],
        ["", "go.example", "https://", "https://go.example/", "ftp://go.example"],
    ),
    "Domains": (
        ["", "go.example", "go.example,qr.example:8443", "go.example , m\u00fcller.example"],
        ["https://go.example", "go.example/", "go.example;qr.example", "go.example,", "a b"],
    ),
    "CorsOrigins": (
        ["", "*", "https://admin.example", "https://a.example:8443,http://localhost:3000"],
        ["admin.example", "https://a.example/", "https://a.example, https://b.example", "*,*"],
    ),
    "EdgeStores": (
        [
            "",
            "cloudflare account=a namespace=n",
            "cloudflare account=a namespace=n token=T; redis url=rediss://r.example:6379 name=r;",
            "dynamodb table=edge region=us-east-1;spin url=https://s.example per_second=50",
        ],
        ["cloudflare", "kv account=a", "cloudflare account=", "cloudflare account=a, namespace=n"],
    ),
    "AppSchemes": (
        ["", "myapp", "myapp,x-other+v.2", "myapp, other"],
        ["myapp://", "1app", "myapp;other", "myapp,"],
    ),
    "DomainName": (
        ["", "api.go.example", "a-b.c.example"],
        ["api", "API.go.example", "https://api.go.example", "-a.example", "a..example"],
    ),
    "CertificateArn": (
        ["", "arn:aws:acm:eu-central-1:123456789012:certificate/12-ab"],
        ["12-ab", "arn:aws:iam::123456789012:server-certificate/x"],
    ),
    "CustomerKeyArn": (
        ["", "arn:aws:kms:eu-central-1:123456789012:key/12-ab"],
        ["alias/waypost", "arn:aws:kms:eu-central-1:123456789012:alias/waypost"],
    ),
    "EdgeTableArn": (
        ["", "arn:aws:dynamodb:us-east-1:123456789012:table/edge.a_b-c"],
        ["edge", "arn:aws:dynamodb:us-east-1:123456789012:table/edge/index/i"],
    ),
    "ExistingTables": (["", "a-1,b_2,c.3"], ["a,b", "a,b,c,d", "a, b, c"]),
    "ExistingStreamArn": (
        ["", "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/2026-11-21T00:00:00.000"],
        ["arn:aws:dynamodb:eu-west-1:123456789012:table/t"],
    ),
    "AdminKey": (["", "k" * 20], ["k" * 19, "k" * 19 + " ", "k" * 201]),
    "EdgeKeys": (
        # As a stack generates them, for another region.
        ["", "0" * 64, f"{SHORT[0]} {LONG[0]} {LONG[1]} {SHORT[1]} {SHORT[2]}"],
        ["0" * 63, "A" * 64, "0" * 192, f"{'0' * 64} {SHORT[0]}", SHORT[0], f"{SHORT[0]},{SHORT[1]}", " ".join([*SHORT, *LONG, "x:00"])],
    ),
    "SealKeys": (
        ["", "0" * 64, f"1:{'0' * 64}", f"2:{'0' * 64} 1:{'f' * 64}"],
        ["0" * 63, f"{'0' * 64} 1:{'0' * 64}", "1:0", "1", f"2:{'0' * 64},1:{'f' * 64}"],
    ),
    "EdgeTokens": (["", "{}", '{"A": "b"}'], ["b"]),
    "AlarmEmail": (["", "ops@go.example"], ["ops", "ops @go.example"]),
    "PermissionsBoundary": (
        ["", "arn:aws:iam::123456789012:policy/a/b", "arn:aws:iam::aws:policy/ReadOnlyAccess"],
        ["b"],
    ),
    "WebAclArn": (
        ["", "arn:aws:wafv2:us-east-1:123456789012:global/webacl/a/12-ab"],
        ["a", "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/a/12-ab"],
    ),
}


class Parameters(unittest.TestCase):
    def setUp(self):
        self.parameters = plain().parameters

    def test_say_what_they_do(self):
        for name, spec in self.parameters.items():
            self.assertRegex(spec["Description"], r"^[A-Z`].{10,}\.$", name)

    def test_are_bounded(self):
        for name, spec in self.parameters.items():
            bounded = "AllowedValues" in spec or {"MinValue", "MaxValue"} <= set(spec)
            self.assertTrue(bounded or name in EXAMPLES, name)

    def test_take_what_is_right_and_refuse_what_is_not(self):
        for name, (right, wrong) in EXAMPLES.items():
            pattern = self.parameters[name]["AllowedPattern"]
            self.assertTrue(self.parameters[name]["ConstraintDescription"], name)
            for value in right:
                self.assertTrue(re.fullmatch(pattern, value), f"{name}: {value!r}")
            for value in wrong:
                self.assertFalse(re.fullmatch(pattern, value), f"{name}: {value!r}")

    def test_are_optional_but_one(self):
        required = {name for name, spec in self.parameters.items() if "Default" not in spec}
        self.assertEqual(required, {"PublicUrl"})

    def test_that_are_secret_are_not_shown(self):
        hidden = {name for name, spec in self.parameters.items() if spec.get("NoEcho") is True}
        self.assertEqual(hidden, SECRETS)

    def test_are_grouped_for_the_console(self):
        root = translate.read(REPO / "template.yaml")
        groups = root["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        grouped = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(sorted(grouped), sorted(self.parameters))

    def test_are_in_the_runbook_as_they_are(self):
        runbook = (REPO / "infra/README.md").read_text()
        rows = re.findall(r"^\| `(\w+)` \|(.*?)\| (.*) \|$", runbook, re.MULTILINE)
        found = {n: (d.strip(), t) for n, d, t in rows if n in self.parameters}
        expected = {}
        for name, spec in self.parameters.items():
            default = spec.get("Default")
            shown = "" if default in (None, "") else f"`{default}`"
            told = spec["Description"].removesuffix(".")
            values = spec.get("AllowedValues", [])
            if values and isinstance(values[0], str):
                told += f" ({', '.join(f'`{value}`' for value in values)})"
            expected[name] = ("required" if default is None else shown, told)
        self.assertEqual(found, expected)


class Outputs(unittest.TestCase):
    def test_tell_what_edges_and_operators_need(self):
        needed = {
            "ApiUrl", "ApiDomainTarget", "ClicksQueueUrl", "EdgeSender", "AdminKeySecretArn",
            "EdgeKeysSecretArn", "ClicksDeadLettersUrl", "AlarmTopicArn",
        }
        outputs = production().outputs
        self.assertLessEqual(needed, set(outputs))
        for name, output in outputs.items():
            self.assertTrue(output["Description"], name)

    def test_tell_no_secret(self):
        for name, output in production().outputs.items():
            self.assertNotIn("resolve:", str(output["Value"]), name)
            for secret in SECRETS:
                self.assertNotIn(f"'Ref': '{secret}'", str(output["Value"]), name)


class Configuration(unittest.TestCase):
    def setUp(self):
        # As the SAM CLI reads it.
        read = "import json, sys, tomlkit; print(json.dumps(tomlkit.load(sys.stdin).unwrap()))"
        with (REPO / "samconfig.toml").open() as file:
            command = [os.environ["WAYPOST_SAM_PYTHON"], "-c", read]
            done = subprocess.run(command, stdin=file, stdout=subprocess.PIPE, check=True)
        self.config = json.loads(done.stdout)

    def given(self, environment):
        pairs = self.config[environment]["deploy"]["parameters"]["parameter_overrides"]
        return dict(pair.split("=", 1) for pair in pairs)

    def test_gives_parameters_that_there_are_and_no_secret(self):
        for environment in ("default", "production"):
            given = set(self.given(environment))
            self.assertLessEqual(given, set(plain().parameters), environment)
            self.assertFalse(given & SECRETS, environment)
            # The SAM CLI refuses a parameter without a value.
            self.assertNotIn("", self.given(environment).values(), environment)
            self.assertIn("PublicUrl", given, environment)

    def test_protects_production(self):
        given = self.given("production")
        self.assertEqual(given["Stage"], "production")
        self.assertEqual(given["DeletionProtection"], "true")
        self.assertEqual(given["GradualDeployment"], "true")
        parameters = self.config["production"]["deploy"]["parameters"]
        self.assertIs(parameters["confirm_changeset"], True)

    def test_tags_everything(self):
        for environment, stage in (("default", "dev"), ("production", "production")):
            tags = self.config[environment]["deploy"]["parameters"]["tags"]
            self.assertEqual(tags, f"Application=waypost Stage={stage}")

    def test_allows_what_parts_with_a_transform_need(self):
        for environment in ("default", "production", "emulator"):
            allowed = self.config[environment]["deploy"]["parameters"]["capabilities"]
            self.assertEqual(allowed, "CAPABILITY_IAM CAPABILITY_AUTO_EXPAND")


if __name__ == "__main__":
    unittest.main()
