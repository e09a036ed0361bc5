"""Waypost on an emulator of AWS, deployed by the SAM CLI as it would be deployed to an account.

As a program: starts an emulator, deploys what tests/setup/functions.sh built, prints the outputs of the stack
as JSON, and stays until its standard input ends.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

import translate

REPO = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-east-1"
STACK = "waypost"
# The emulator believes this key whatever it signs with; whoever is to be held to its rights has
# another.
ROOT = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
START_SECONDS = 60
DEPLOY_SECONDS = 300

# What an unset variable would leave to chance, and what differs from an account: functions run on
# this machine's processor, jobs run when a test says so, and deployment waits for no shift.
PARAMETERS = {
    "Stage": "dev",
    "Architecture": "arm64" if os.uname().machine == "aarch64" else "x86_64",
    "PublicUrl": "https://go.example",
    "DeletionProtection": "false",
    "Schedules": "DISABLED",
    "SlugSlashes": "true",
    # The emulator knows no alarms on what is calculated of metrics; tests/aws/stack reads them.
    "ApiErrorPercent": "0",
    "LostClicks": "0",
}

ROUTES = {"ANY /api/v1/{proxy+}", "POST /api/v1/edge/{proxy+}", "GET /health"}


class Failed(Exception):
    """What somebody who runs the tests has to know."""


def quoted(value):
    """A value as the SAM CLI takes it among --parameter-overrides."""
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, seconds, what):
    """The first true answer of `condition`; fails after `seconds` without one."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s in vain: {what}")
        time.sleep(0.05)


class Emulator:
    """A fresh emulator on a port of its own, that checks signatures and rights."""

    def __init__(self):
        program = os.environ.get("WAYPOST_AWS_EMULATOR")
        if not program:
            raise Failed("WAYPOST_AWS_EMULATOR is not set: tests/setup/aws-tools.sh prints it")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="waypost-aws-"))
        self.log = self.folder / "emulator.log"
        # Functions inherit all of this, and nothing else of the caller's.
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "AUTH": "true",
            # As Lambda sets it for functions with `ApplicationLogLevel: TRACE`.
            "AWS_LAMBDA_LOG_FORMAT": "json",
            "AWS_LAMBDA_LOG_LEVEL": "TRACE",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        # It ends with this program, whatever ends that: a shell waits for the end of its input.
        script = '"$0" & read -r _; kill $!'
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", script, program], env=environment, cwd=self.folder,
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
            )
        try:
            wait_until(self._is_healthy, START_SECONDS, "the emulator to start")
        except BaseException:
            self.stop()
            raise

    def _is_healthy(self):
        if self.process.poll() is not None:
            raise Failed(f"the emulator ended:\n{self.log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def client(self, service, **credentials):
        """A client of a service, as the account's owner or with credentials of its own."""
        config = botocore.config.Config(
            retries={"max_attempts": 2}, read_timeout=120, s3={"addressing_style": "path"}
        )
        return boto3.client(
            service, endpoint_url=self.url, config=config, **{**ROOT, **credentials}
        )

    def stop(self):
        """Ends the emulator and the functions it started."""
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        # Functions are of the emulator's session, and some outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Stack:
    """A stack that is there; `client` answers clients of AWS services where it is."""

    def __init__(self, name, client):
        self.name = name
        self.client = client
        self._edge_sender = None
        self.outputs = self._outputs()
        self._check_routes()

    def _outputs(self):
        answer = self.client("cloudformation").describe_stacks(StackName=self.name)
        return {o["OutputKey"]: o["OutputValue"] for o in answer["Stacks"][0]["Outputs"]}

    # A deployment can succeed without its routes, so it is not believed.
    def _check_routes(self):
        routes = self.client("apigatewayv2").get_routes(ApiId=self.outputs["ApiId"])
        found = {route["RouteKey"] for route in routes["Items"]}
        if found != ROUTES:
            raise Failed(f"the API has the routes {sorted(found)}, not {sorted(ROUTES)}")

    def edge_sender(self):
        """Credentials as edges have them."""
        if not self._edge_sender:
            users = self.client("iam")
            key = users.create_access_key(UserName=self.outputs["EdgeSender"])["AccessKey"]
            self._edge_sender = {
                "aws_access_key_id": key["AccessKeyId"],
                "aws_secret_access_key": key["SecretAccessKey"],
            }
            # A new key is not known everywhere at once.
            wait_until(self._knows_edge_sender, START_SECONDS, "the new key of edges to be known")
        return self._edge_sender

    def _knows_edge_sender(self):
        queues = self.client("sqs", **self._edge_sender)
        try:
            queues.get_queue_attributes(
                QueueUrl=self.outputs["ClicksQueueUrl"], AttributeNames=["All"]
            )
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            return code not in ("InvalidClientTokenId", "SignatureDoesNotMatch")
        return True

    def stop(self):
        """Takes back what was only made to drive it."""
        if self._edge_sender:
            self.client("iam").delete_access_key(
                UserName=self.outputs["EdgeSender"],
                AccessKeyId=self._edge_sender["aws_access_key_id"],
            )

    def address(self, path):
        """Where the API answers for a path: where its output says, unless it is told otherwise."""
        return os.environ.get("WAYPOST_AWS_API_URL", self.outputs["ApiUrl"]) + path

    def secret(self, output):
        """The text of the secret whose ARN an output names."""
        secrets = self.client("secretsmanager")
        return secrets.get_secret_value(SecretId=self.outputs[output])["SecretString"]

    def invoke(self, function, event):
        """Runs a function with an event and answers what it answered; fails as it failed."""
        functions = self.client("lambda")

        def invoked():
            try:
                return functions.invoke(
                    FunctionName=self.outputs[f"{function}Function"],
                    Payload=json.dumps(event).encode(),
                )
            except functions.exceptions.TooManyRequestsException:
                # The schedule's own run is under way; one at a time is allowed.
                return None

        answer = wait_until(invoked, DEPLOY_SECONDS, f"{function} to have an instance free")
        payload = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            raise Failed(f"{function} failed: {payload}\n{self.logs(function)}")
        return json.loads(payload) if payload else None

    def logs(self, function, lines=12):
        """The last lines that a function logged."""
        logs = self.client("logs")
        group = f"/waypost/{self.name}/{function.lower()}"
        try:
            events = logs.filter_log_events(logGroupName=group)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return f"no log group {group}"
        return "\n".join(event["message"].rstrip() for event in events[-lines:])


class Deployment(Stack):
    """The stack on an emulator."""

    def __init__(self, emulator, parameters=None):
        self.emulator = emulator
        self.parameters = {**PARAMETERS, **(parameters or {})}
        self.deploy()
        super().__init__(STACK, emulator.client)

    def deploy(self):
        """`sam deploy` of what was built."""
        built = REPO / ".aws-sam/build"
        if not built.exists():
            raise Failed(f"{built} is not there: tests/setup/functions.sh makes it")
        template = translate.for_emulator(built, self.emulator.folder, self.parameters)
        sam(
            self.emulator, "deploy", "--template-file", str(template), "--stack-name", STACK,
            "--config-file", str(REPO / "samconfig.toml"), "--config-env", "emulator",
            "--parameter-overrides", *[f"{k}={quoted(v)}" for k, v in self.parameters.items()],
        )

    def delete(self):
        """What `sam delete` does, which cannot read the emulator's addresses of parts."""
        formation = self.client("cloudformation")
        formation.delete_stack(StackName=STACK)
        formation.get_waiter("stack_delete_complete").wait(
            StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": DEPLOY_SECONDS}
        )

    def address(self, path):
        """Where the emulator answers for the API; its outputs name an address of AWS."""
        return f"{self.emulator.url}/_aws/execute-api/{self.outputs['ApiId']}/$default{path}"


def sam(emulator, *arguments):
    """Runs the SAM CLI against an emulator; fails with the end of what it said."""
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": ROOT["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": ROOT["aws_secret_access_key"],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
    }
    try:
        done = subprocess.run(
            ["sam", *arguments], cwd=REPO, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEPLOY_SECONDS, check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode()[-4000:]
        raise Failed(f"sam {arguments[0]} took more than {DEPLOY_SECONDS} s:\n{said}") from late
    if done.returncode != 0:
        raise Failed(f"sam {arguments[0]} failed:\n{done.stdout.decode()[-6000:]}")


def main():
    """See the module."""
    emulator = Emulator()
    try:
        deployment = Deployment(emulator)
        answer = {"endpoint": emulator.url, **deployment.outputs}
        print(json.dumps(answer, indent=2), flush=True)
        sys.stdin.read()
    except Failed as failure:
        print(failure, file=sys.stderr)
        print(emulator.log.read_text()[-4000:], file=sys.stderr)
        return 1
    finally:
        emulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
