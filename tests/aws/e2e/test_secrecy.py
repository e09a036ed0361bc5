"""Logs: what functions write down, whatever Lambda's own level of logging is."""

import unittest

from deployment import wait_until
from world import ATTEMPT_SECONDS, driving, only_on_the_emulator, world


@only_on_the_emulator
class Secrecy(unittest.TestCase):
    def test_logs_hold_no_keys_and_no_passwords(self):
        with driving("the log of the API, with Lambda's level at TRACE", "no key, no password"):
            password = "never to be written down"
            world().create(slug="secret", password=password)
            world().call("GET", "/api/v1/links/secret")

            def lines():
                return world().stack.logs("Api", lines=10_000)

            wait_until(lambda: "/api/v1/links" in lines(), ATTEMPT_SECONDS, "lines of the API")
            for secret in (world().admin_key, password, "Bearer"):
                self.assertFalse(secret in lines(), f"the log has {secret[:4]}...")


if __name__ == "__main__":
    unittest.main()
