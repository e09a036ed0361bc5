"""Drives a stack twice as one in an account is driven: by its name, with schedules that run, another
host than the tests' own, and what the run before left behind."""

import json
import os
import subprocess
import sys

import deployment

sys.path.insert(0, str(deployment.REPO / "tests/aws/e2e"))
import kv  # noqa: E402

RUNS = 2


def parameters(cloudflare):
    """Of the stack."""
    return {
        "PublicUrl": "https://links.example",
        "Schedules": "ENABLED",
        "EdgeStores": f"cloudflare account=a namespace=n api={cloudflare.url}",
        "EdgeTokens": json.dumps({"CLOUDFLARE_API_TOKEN": kv.TOKEN}),
    }


def main():
    """See the module."""
    emulator, cloudflare = deployment.Emulator(), kv.Cloudflare()
    try:
        stack = deployment.Deployment(emulator, parameters(cloudflare))
        environment = {
            **os.environ,
            **{name.upper(): value for name, value in deployment.ROOT.items()},
            "AWS_DEFAULT_REGION": deployment.REGION,
            "AWS_ENDPOINT_URL": emulator.url,
            # The address in the outputs is one of AWS.
            "WAYPOST_AWS_API_URL": stack.address(""),
        }
        driver = [deployment.REPO / "tests/setup/aws.sh", "--account", deployment.STACK]
        for _ in range(RUNS):
            subprocess.run(driver, env=environment, check=True)
    except deployment.Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failure:
        print(emulator.log.read_text()[-4000:], file=sys.stderr)
        return failure.returncode
    finally:
        emulator.stop()
        cloudflare.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
