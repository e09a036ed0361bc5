"""Parameters that change, and the version of the API that requests go to."""

import json
import unittest

import translate
from deployment import REPO
from world import driving, only_on_the_emulator, world

STACK = "settings"
# Of the part: what decides about versions. The emulator loses track of a part's resources when it
# updates the part, so these are a stack of their own.
KINDS = ("AWS::AppConfig::", "AWS::Lambda::Function", "AWS::Lambda::Version", "AWS::Lambda::Alias")


def template():
    """Those resources of infra/api.yaml as they are translated."""
    part = translate.read(REPO / "infra/api.yaml")
    values = {name: f"a-{name.lower()}" for name in part["Parameters"]}
    values.update({"Architecture": "x86_64", "GradualDeployment": "false"})
    translated = translate.plain(translate.translate(part, values))
    resources = {
        name: resource for name, resource in translated["Resources"].items()
        if resource["Type"].startswith(KINDS)
    }
    function = resources["ApiFunction"]["Properties"]
    # Nothing is run.
    function["Code"] = {"ZipFile": "nothing"}
    function["Role"] = "arn:aws:iam::000000000000:role/nobody"
    del function["LoggingConfig"]
    parameters = {name: {"Type": "String"} for name in part["Parameters"]}
    return {**translated, "Parameters": parameters, "Resources": resources, "Outputs": {}}


class Stack:
    """These resources on the emulator."""

    def __init__(self):
        self.formation, self.functions = world().client("cloudformation"), world().client("lambda")
        self.body = json.dumps(template())
        names = list(json.loads(self.body)["Parameters"])
        self.values = {name: f"a-{name.lower()}" for name in names}
        self.values.update(Architecture="x86_64", MemorySize="512", WebAclArn="", Domains="")
        self.formation.create_stack(
            StackName=STACK, TemplateBody=self.body, Parameters=self._parameters()
        )
        self._wait("create")

    def _parameters(self):
        return [{"ParameterKey": k, "ParameterValue": v} for k, v in self.values.items()]

    def _wait(self, what):
        waiter = self.formation.get_waiter(f"stack_{what}_complete")
        waiter.wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def update(self, **changed):
        """Changes parameters, and nothing else."""
        self.values.update(changed)
        self.formation.update_stack(
            StackName=STACK, TemplateBody=self.body, Parameters=self._parameters()
        )
        self._wait("update")

    def served(self):
        """The version that requests go to, with what it is told."""
        found = self.formation.describe_stack_resource(
            StackName=STACK, LogicalResourceId="ApiFunction"
        )
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        told = self.functions.get_function_configuration(FunctionName=name, Qualifier="live")
        return told["Version"], told["Environment"]["Variables"], told["MemorySize"]

    def delete(self):
        """Takes it away."""
        self.formation.delete_stack(StackName=STACK)


@only_on_the_emulator
class Settings(unittest.TestCase):
    def test_that_change_reach_the_version_that_is_served(self):
        with driving("other settings, other tables, other limits", "in the version that is served"):
            stack = Stack()
            try:
                first, told, _ = stack.served()
                self.assertEqual(told["WAYPOST_DEFAULT_STATUS"], "a-defaultstatus")
                stack.update(DefaultStatus="307")
                second, told, _ = stack.served()
                self.assertNotEqual(second, first)
                self.assertEqual(told["WAYPOST_DEFAULT_STATUS"], "307")
                # After a restore.
                stack.update(LinksTable="restored", MemorySize="1024")
                third, told, memory = stack.served()
                self.assertNotIn(third, (first, second))
                self.assertEqual((told["WAYPOST_LINKS_TABLE"], memory), ("restored", 1024))
                # A version like the one before would be refused, and the deployment with it.
                stack.update(RateLimit="5")
                self.assertEqual(stack.served()[0], third)
            finally:
                stack.delete()


if __name__ == "__main__":
    unittest.main()
