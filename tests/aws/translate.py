"""Templates of SAM as CloudFormation gets to see them, by the translator that AWS runs."""

import copy
import hashlib
import logging
import os
import pathlib

import yaml
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

REPO = pathlib.Path(__file__).resolve().parents[2]
TRANSFORM = "AWS::Serverless-2016-10-31"

# The translator asks boto3 for it.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
# It warns of switches and metrics of its own.
logging.getLogger("samtranslator").setLevel(logging.ERROR)


class _NoPolicies:
    """The translator's source of policies named by templates; ours name none."""

    def load(self):
        return {}


def read(path):
    """A template with the long forms of its functions."""
    return yaml_parse(pathlib.Path(path).read_text())


def translate(template, parameters=None):
    """The template without a single resource of SAM. `parameters` are what a parent passes."""
    template = copy.deepcopy(template)
    if template.get("Transform") != TRANSFORM:
        return template
    folders = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            folders[name] = resource["Properties"]["CodeUri"]
            # The translator takes what was uploaded; a new version follows from a new place.
            resource["Properties"]["CodeUri"] = f"s3://code/{_digest(folders[name])}"
    translated = transform(template, parameters or {}, _NoPolicies())
    for name, folder in folders.items():
        translated["Resources"][name]["Properties"]["Code"] = folder
    return translated


def _digest(folder):
    program = pathlib.Path(folder) / "bootstrap"
    content = program.read_bytes() if program.is_file() else str(folder).encode()
    return hashlib.sha256(content).hexdigest()


# Policies that insist on TLS, which the emulator has not; it would refuse everything, to its owner
# too. tests/aws/stack holds each of them.
TLS_ONLY = {"AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"}


def for_emulator(built, into, parameters):
    """Copies what `sam build` made to `into`: parts translated, TLS not asked for.

    AWS translates each part when it creates it; the emulator only translates the template that it
    is given."""
    root = read(built / "template.yaml")
    for name, resource in root["Resources"].items():
        if resource["Type"] != "AWS::CloudFormation::Stack":
            continue
        part = built / resource["Properties"]["TemplateURL"]
        template = read(part)
        for properties in _functions(template):
            properties["CodeUri"] = str((part.parent / properties["CodeUri"]).resolve())
        passed = _passed(root, resource, parameters)
        translated = translate(template, passed)
        resources = translated["Resources"]
        for insists in [n for n, r in resources.items() if r["Type"] in TLS_ONLY]:
            del resources[insists]
        target = into / f"{name}.yaml"
        target.write_text(yaml.safe_dump(plain(translated), sort_keys=False))
        resource["Properties"]["TemplateURL"] = target.name
    (into / "template.yaml").write_text(yaml.safe_dump(plain(root), sort_keys=False))
    return into / "template.yaml"


def _functions(template):
    resources = template["Resources"].values()
    return [r["Properties"] for r in resources if r["Type"] == "AWS::Serverless::Function"]


def _passed(root, resource, parameters):
    """The parameters of a part that are known before anything is deployed."""
    given = {name: spec.get("Default") for name, spec in root["Parameters"].items()}
    given.update(parameters)
    passed = {}
    for name, value in resource["Properties"].get("Parameters", {}).items():
        reference = value.get("Ref") if isinstance(value, dict) else None
        if reference in given:
            passed[name] = str(given[reference])
    return passed


def plain(value):
    """Without the translator's own kinds of dictionaries and texts."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return str(value) if isinstance(value, str) else value
