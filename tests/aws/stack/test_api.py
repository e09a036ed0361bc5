"""The HTTP API: routes, limits, logs, a domain, and how a new version gets its requests."""

import json
import re
import unittest

import translate
from stack import GIVEN, REPO, Stack, plain, production

INTEGRATION = {"Fn::Sub": "integrations/${Integration}"}


def references(value, conditions):
    """What a part of a template refers to, also by its conditions."""
    if isinstance(value, list):
        return set().union(*(references(inner, conditions) for inner in value))
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, inner in value.items():
        if key == "Ref":
            found.add(inner)
            continue
        if key == "Fn::Sub":
            text = inner if isinstance(inner, str) else inner[0]
            found |= set(re.findall(r"\$\{([^}!]+)\}", text))
        if key == "Fn::If":
            found |= references(conditions[inner[0]], conditions)
        found |= references(inner, conditions)
    return found


class Routes(unittest.TestCase):
    def test_are_these(self):
        routes = production().of("AWS::ApiGatewayV2::Route").values()
        found = {route["RouteKey"]: route["Target"] for route in routes}
        expected = {
            "ANY /api/v1/{proxy+}": INTEGRATION,
            "POST /api/v1/edge/{proxy+}": INTEGRATION,
            "GET /health": INTEGRATION,
        }
        self.assertEqual(found, expected)

    def test_lead_to_the_function(self):
        stack = production()
        alias = {"Ref": "ApiFunctionAliaslive"}
        integration = stack.properties("Api.Integration")
        self.assertEqual(integration["IntegrationUri"], alias)
        self.assertEqual(integration["IntegrationType"], "AWS_PROXY")
        self.assertEqual(integration["PayloadFormatVersion"], "2.0")
        timeout = stack.properties("Api.ApiFunction")["Timeout"]
        # The function answers for itself, also that it is out of time.
        self.assertGreater(integration["TimeoutInMillis"], timeout * 1000)
        permission = stack.properties("Api.ApiPermission")
        self.assertEqual(permission["FunctionName"], alias)
        self.assertEqual(permission["Principal"], "apigateway.amazonaws.com")
        self.assertIn("${HttpApi}/*", permission["SourceArn"]["Fn::Sub"])

    def test_have_limits(self):
        stage = production().properties("Api.ApiStage")
        limits = {"ThrottlingRateLimit": "200", "ThrottlingBurstLimit": "400"}
        self.assertEqual(stage["DefaultRouteSettings"], limits)
        limits = {"ThrottlingRateLimit": "1000", "ThrottlingBurstLimit": "2000"}
        self.assertEqual(stage["RouteSettings"], {"POST /api/v1/edge/{proxy+}": limits})
        self.assertEqual((stage["StageName"], stage["AutoDeploy"]), ("$default", True))
        waits = production().resources["Api.ApiStage"]["DependsOn"]
        self.assertEqual(waits, ["ApiRoute", "EdgeRoute", "HealthRoute"])


class Logs(unittest.TestCase):
    def test_tell_of_each_request_but_not_of_its_query(self):
        settings = production().properties("Api.ApiStage")["AccessLogSettings"]
        self.assertEqual(settings["DestinationArn"], {"Fn::GetAtt": ["AccessLogGroup", "Arn"]})
        fields = json.loads(settings["Format"])
        self.assertEqual(
            sorted(fields),
            ["bytes", "error", "functionMs", "ip", "method", "ms", "path", "requestId", "route",
             "status", "time"],
        )
        self.assertFalse([value for value in fields.values() if "query" in value.lower()])
        self.assertFalse([value for value in fields.values() if "authorizer" in value.lower()])
        group = production().properties("Api.AccessLogGroup")
        self.assertTrue(group["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/"))


class Domain(unittest.TestCase):
    def test_of_its_own(self):
        stack = production()
        self.assertIs(stack.properties("Api.HttpApi")["DisableExecuteApiEndpoint"], True)
        domain = stack.properties("Api.ApiDomain")
        self.assertEqual(domain["DomainName"], "api.go.example")
        expected = {
            "CertificateArn": GIVEN["CertificateArn"], "EndpointType": "REGIONAL",
            "SecurityPolicy": "TLS_1_2",
        }
        self.assertEqual(domain["DomainNameConfigurations"], [expected])
        mapping = stack.properties("Api.ApiMapping")
        self.assertEqual(mapping["Stage"], {"Ref": "ApiStage"})

    def test_or_the_one_of_api_gateway(self):
        stack = plain()
        self.assertIs(stack.properties("Api.HttpApi")["DisableExecuteApiEndpoint"], False)
        self.assertEqual(stack.of("AWS::ApiGatewayV2::DomainName"), {})
        self.assertEqual(stack.of("AWS::ApiGatewayV2::ApiMapping"), {})

    def test_certificate_of_cloudfront_is_where_cloudfront_looks(self):
        acl = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/a/1"
        template = translate.read(REPO / "infra/api.yaml")
        pattern = template["Parameters"]["FrontCertificateArn"]["AllowedPattern"]
        near = "arn:aws:acm:us-east-1:123456789012:certificate/1-a"
        for certificate, fits in ((near, True), (GIVEN["CertificateArn"], False)):
            stack = Stack(**{**GIVEN, "WebAclArn": acl, "CertificateArn": certificate})
            front = stack.properties("Api.Front")["DistributionConfig"]
            used = front["ViewerCertificate"]["AcmCertificateArn"]
            self.assertEqual(used, certificate)
            self.assertEqual(bool(re.fullmatch(pattern, used)), fits, certificate)
        # Without it, a certificate is where the stack is.
        passed = production().passed["Api"]["FrontCertificateArn"]
        self.assertTrue(re.fullmatch(pattern, passed), passed)

    def test_behind_a_web_acl(self):
        acl = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/a/1"
        self.assertEqual(production().of("AWS::CloudFront::Distribution"), {})
        stack = Stack(**GIVEN, WebAclArn=acl)
        front = stack.properties("Api.Front")["DistributionConfig"]
        self.assertEqual(front["WebACLId"], acl)
        self.assertEqual(front["Aliases"], ["api.go.example"])
        behaviour = front["DefaultCacheBehavior"]
        self.assertEqual(behaviour["ViewerProtocolPolicy"], "https-only")
        # Nothing is cached, and the host is the API's own.
        self.assertEqual(behaviour["CachePolicyId"], "4135ea2d-6df8-44a3-9df3-4b5a84be39ad")
        self.assertEqual(
            behaviour["OriginRequestPolicyId"], "b689b0a8-53d0-40ab-baf2-68738e2966ac"
        )
        # The distribution has the domain, and the API its own address for it.
        self.assertEqual(stack.of("AWS::ApiGatewayV2::DomainName"), {})
        self.assertIs(stack.properties("Api.HttpApi")["DisableExecuteApiEndpoint"], False)
        self.assertEqual(
            stack.made["Api"]["ApiDomainTarget"], {"Fn::GetAtt": ["Front", "DomainName"]}
        )

        # All clients look like a few.
        variables = stack.functions()["Api"]["Environment"]["Variables"]
        self.assertEqual(variables["WAYPOST_API_WRONG_KEYS_PER_QUARTER_HOUR"], 0)
        self.assertEqual(variables["WAYPOST_API_REQUESTS_PER_MINUTE"], "1000")

    def test_browsers(self):
        cors = production().properties("Api.HttpApi")["CorsConfiguration"]
        self.assertEqual(cors["AllowOrigins"], {"Fn::Split": [",", GIVEN["CorsOrigins"]]})
        self.assertEqual(cors["AllowMethods"], ["GET", "POST", "PATCH", "DELETE"])
        limits = {"ratelimit", "ratelimit-policy", "retry-after"}
        limits |= {f"x-ratelimit-{name}" for name in ("limit", "remaining", "reset")}
        self.assertLessEqual(limits, set(cors["ExposeHeaders"]))
        self.assertNotIn("AllowCredentials", cors)
        self.assertNotIn("CorsConfiguration", plain().properties("Api.HttpApi"))


class Deployment(unittest.TestCase):
    def test_is_gradual_if_asked_for(self):
        stack = production()
        alias = stack.resources["Api.ApiFunctionAliaslive"]
        update = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        self.assertEqual(
            update["DeploymentGroupName"], {"Ref": "ApiFunctionDeploymentGroup"}
        )
        group = stack.properties("Api.ApiFunctionDeploymentGroup")
        alarms = group["AlarmConfiguration"]
        self.assertIs(alarms["Enabled"], True)
        names = [alarm["Name"] for alarm in alarms["Alarms"]]
        self.assertEqual(names, [{"Ref": "ShiftErrorsAlarm"}, {"Ref": "ShiftLatencyAlarm"}])
        self.assertIn("DEPLOYMENT_STOP_ON_ALARM", group["AutoRollbackConfiguration"]["Events"])
        self.assertIs(group["AutoRollbackConfiguration"]["Enabled"], True)
        configuration = group["DeploymentConfigName"]
        self.assertIn("Canary10Percent10Minutes", json.dumps(configuration))
        self.assertEqual(group["ServiceRoleArn"], {"Fn::GetAtt": ["ShiftRole", "Arn"]})

    def test_can_be_ended_by_its_alarms_while_it_lasts(self):
        for name in ("ShiftErrorsAlarm", "ShiftLatencyAlarm"):
            alarm = production().properties(f"Api.{name}")
            periods = [alarm["Period"]] if "Period" in alarm else [
                metric["MetricStat"]["Period"]
                for metric in alarm["Metrics"] if "MetricStat" in metric
            ]
            # Metrics come up to two minutes late, and the alarm must ring before the ten are over.
            self.assertLess(max(periods) * alarm["EvaluationPeriods"] + 120, 600, name)
            self.assertGreater(alarm["DatapointsToAlarm"], 1, name)
            self.assertNotIn("AlarmActions", alarm, name)
        errors = production().properties("Api.ShiftErrorsAlarm")
        self.assertEqual((errors["Threshold"], errors["DatapointsToAlarm"]), ("0.1", 2))
        latency = production().properties("Api.ShiftLatencyAlarm")
        self.assertEqual((latency["Threshold"], latency["ExtendedStatistic"]), ("100", "p95"))
        without = Stack(**{**GIVEN, "ApiErrorPercent": "0"}).properties("Api.ShiftErrorsAlarm")
        self.assertEqual(without["Threshold"], 100)
        # Nobody pays for them who deploys at once.
        self.assertFalse([name for name in plain().resources if ".Shift" in name])

    def test_makes_a_version_for_other_settings(self):
        # The name of a version follows from the template alone, but is made anew with its text.
        stack = production()
        (version,) = stack.of("AWS::Lambda::Version").values()
        self.assertEqual(version["Description"], {"Fn::Sub": "Settings ${Settings}"})
        # Lambda refuses a version like the one before: whatever the number, the function has it.
        function = stack.properties("Api.ApiFunction")
        self.assertIn("${Settings}", function["Description"]["Fn::Sub"])
        before = plain().properties("Api.Settings")["Content"]
        for given in ({"DefaultStatus": "301"}, {"ApiMemorySize": "1024"}, {"Domains": "a.example"}):
            after = Stack(PublicUrl="https://go.example", **given).properties("Api.Settings")
            self.assertNotEqual(after["Content"], before, given)
        # After a restore, tables have other names.
        _, counted = before["Fn::Join"]
        for table in ("Links", "Control", "Counters"):
            self.assertIn(f"Storage.{table}Table", counted)

    def test_counts_everything_that_the_function_is_told(self):
        template = translate.read(REPO / "infra/api.yaml")
        parameters, conditions = set(template["Parameters"]), template["Conditions"]
        function = dict(template["Resources"]["ApiFunction"]["Properties"])
        del function["DeploymentPreference"]
        told = references([function, template["Globals"]["Function"]], conditions)
        counted = references(template["Resources"]["Settings"]["Properties"], conditions)
        self.assertEqual(counted & parameters, told & parameters)
        # What the template itself changes of a function makes a version too.
        self.assertIs(function["AutoPublishAliasAllProperties"], True)

    def test_is_at_once_if_not(self):
        stack = plain()
        for kind in ("Application", "DeploymentGroup"):
            self.assertEqual(stack.of(f"AWS::CodeDeploy::{kind}"), {})
        self.assertNotIn("UpdatePolicy", stack.resources["Api.ApiFunctionAliaslive"])
        self.assertNotIn("Api.ShiftRole", stack.resources)


if __name__ == "__main__":
    unittest.main()
