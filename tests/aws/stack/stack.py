"""The whole stack, as CloudFormation gets to see it: parts translated, parameters filled in."""

import functools

import translate

REPO = translate.REPO
FUNCTIONS = ("Aggregate", "Api", "Cleanup", "Export", "Publish", "Reconcile", "Rollup")

# What the production environment of samconfig.toml and an ambitious operator give.
GIVEN = {
    "Stage": "production",
    "PublicUrl": "https://go.example",
    "CorsOrigins": "https://admin.example,https://other.example",
    "DomainName": "api.go.example",
    "CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/1",
    "CustomerKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/1",
    "DeletionProtection": "true",
    "GradualDeployment": "true",
    "AlarmEmail": "ops@go.example",
    "EdgeTableArn": "arn:aws:dynamodb:eu-central-1:123456789012:table/edge",
    "PermissionsBoundary": "arn:aws:iam::123456789012:policy/bound",
}


class Stack:
    """Resources of all parts under `Part.Name`, with conditions decided and what can be known
    filled in. What only AWS knows stays a function."""

    def __init__(self, **given):
        root = translate.read(REPO / "template.yaml")
        parameters = {n: spec.get("Default") for n, spec in root["Parameters"].items()}
        unknown = set(given) - set(parameters)
        if unknown:
            raise KeyError(f"template.yaml has no parameters {sorted(unknown)}")
        parameters.update(given)
        self.outputs = root["Outputs"]
        self.parameters = root["Parameters"]
        self.resources = {}
        self.made = {}
        self.passed = {}
        self._root = self._add("", root, parameters)
        for name, resource in root["Resources"].items():
            if resource["Type"] == "AWS::CloudFormation::Stack":
                self._add_part(name, resource["Properties"])

    def _add_part(self, name, properties):
        passed = {
            key: str(self._source(self._root.fill(value)))
            for key, value in properties.get("Parameters", {}).items()
        }
        self.passed[name] = passed
        template = translate.read(REPO / properties["TemplateURL"])
        declared = set(template["Parameters"])
        if declared != set(passed):
            raise KeyError(f"{name}: declared {sorted(declared ^ set(passed))} but not both ways")
        values = self._add(f"{name}.", translate.translate(template, passed), passed)
        self.made[name] = {
            key: values.fill(output["Value"])
            for key, output in template.get("Outputs", {}).items()
            if "Condition" not in output or values.holds(output["Condition"])
        }

    # What another part makes is named by where it comes from, unless it is known.
    def _source(self, value):
        if isinstance(value, dict) and "Fn::GetAtt" in value:
            part, attribute = value["Fn::GetAtt"]
            name = attribute.removeprefix("Outputs.")
            made = self.made[part][name]
            return made if isinstance(made, str) else f"{part}.{name}"
        return value["Ref"] if isinstance(value, dict) else value

    def _add(self, prefix, template, parameters):
        conditions = {
            name: functools.partial(_decide, spec)
            for name, spec in template.get("Conditions", {}).items()
        }
        values = _Values(parameters, conditions)
        for name, resource in template["Resources"].items():
            condition = resource.get("Condition")
            if condition is None or values.holds(condition):
                self.resources[prefix + name] = values.fill(resource)
        return values

    def of(self, kind):
        """The properties of all resources of a type, by name."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def properties(self, name):
        """The properties of a resource."""
        return self.resources[name]["Properties"]

    def functions(self):
        """The properties of the functions, by the name of each."""
        kind = "AWS::Lambda::Function"
        return {n.split(".")[1].removesuffix("Function"): p for n, p in self.of(kind).items()}

    def role(self, function):
        """The name of a function's role."""
        part = next(n for n in self.of("AWS::IAM::Role") if n.endswith(f".{function}Role"))
        return part


NOTHING = object()


def _decide(spec, values):
    kind, arguments = next(iter(spec.items()))
    if kind == "Fn::Equals":
        first, second = (values.fill(argument) for argument in arguments)
        return str(first) == str(second)
    if kind == "Fn::Not":
        return not _decide(arguments[0], values)
    if kind in ("Fn::And", "Fn::Or"):
        decided = [_decide(argument, values) for argument in arguments]
        return all(decided) if kind == "Fn::And" else any(decided)
    if kind == "Condition":
        return values.holds(arguments)
    raise KeyError(kind)


class _Values:
    def __init__(self, parameters, conditions):
        self.parameters = parameters
        self.conditions = conditions

    def holds(self, name):
        """Whether a condition of the template is met."""
        return self.conditions[name](self)

    def fill(self, value):
        """The value with parameters and conditions filled in."""
        if isinstance(value, list):
            filled = [self.fill(inner) for inner in value]
            return [inner for inner in filled if inner is not NOTHING]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"}:
            if value["Ref"] == "AWS::NoValue":
                return NOTHING
            return self.parameters.get(value["Ref"], value)
        if set(value) == {"Fn::If"}:
            condition, yes, no = value["Fn::If"]
            return self.fill(yes if self.holds(condition) else no)
        filled = {key: self.fill(inner) for key, inner in value.items()}
        return {key: inner for key, inner in filled.items() if inner is not NOTHING}


@functools.cache
def production():
    """The stack with all that can be switched on."""
    return Stack(**GIVEN)


@functools.cache
def plain():
    """The stack with what has no default only."""
    return Stack(PublicUrl="https://go.example")
