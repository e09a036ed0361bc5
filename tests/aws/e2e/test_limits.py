"""Limits of the API: counted in a table, by the shipped function, with the rights of its role."""

import time
import unittest
import uuid

from world import driving, event, only_on_the_emulator, world


def granted(answer):
    """Whether a request took a token: one that passed because the table was slow did not."""
    return answer.status == 200 and "ratelimit" in answer.headers


class Limits(unittest.TestCase):
    def test_a_key_gets_what_it_was_given(self):
        with driving("a key with 3 requests a minute, used until it is refused", "3, then 429"):
            body = {"name": "limited", "role": "viewer", "requests_per_minute": 3}
            made = world().call("POST", "/api/v1/keys", body).json
            self.assertEqual(made["requests_per_minute"], 3)
            began, answers = time.monotonic(), []
            while not answers or answers[-1].status != 429:
                answers.append(world().call("GET", "/api/v1/links", key=made["secret"]))
                self.assertIn(answers[-1].status, (200, 429), answers[-1].text)
            came_back = int((time.monotonic() - began) / 20)
            self.assertIn(sum(map(granted, answers)), range(3, 4 + came_back))
            refused = answers[-1]
            self.assertEqual(refused.headers["content-type"], "application/problem+json")
            self.assertEqual(refused.json["type"], "urn:waypost:problem:rate-limited")
            self.assertIn(int(refused.headers["retry-after"]), range(1, 21))
            self.assertEqual(refused.headers["ratelimit-policy"], '"key";q=3;w=60')
            self.assertEqual(refused.headers["x-ratelimit-limit"], "3")
            self.assertEqual(refused.headers["x-ratelimit-remaining"], "0")
            # Another key is not affected, and has the limit of the stack: in an account, any.
            other = world().call("GET", "/api/v1/links")
            self.assertEqual(other.status, 200)
            if world().emulator:
                self.assertEqual(other.headers["ratelimit-policy"], '"key";q=1000;w=60')

    @only_on_the_emulator
    def test_a_client_that_guesses_is_not_listened_to(self):
        with driving("wrong keys from one address, then the right one", "401, then 429"):
            # An address that nobody has: other tests come from ours.
            name = uuid.uuid4().int
            address = f"2001:db8:{name & 0xffff:x}:{name >> 16 & 0xffff:x}::1"
            answers = [None]
            for _ in range(300):
                if answers[-1] == 429:
                    break
                answers.append(self.asked("wrong", address))
            answers = answers[1:]
            self.assertEqual(set(answers[:-1]), {401})
            self.assertGreaterEqual(len(answers), 101)
            self.assertEqual(answers[-1], 429)
            elsewhere = address.replace("2001:", "2002:")
            self.assertEqual(self.asked(world().admin_key, elsewhere), 200)

    def asked(self, key, address):
        """The status of a request for links, with a key, that API Gateway heard from an address."""
        asked, path = event("http-create"), "/api/v1/links"
        asked["rawPath"], asked["body"] = path, ""
        asked["headers"] = {"accept": "application/json", "authorization": f"Bearer {key}"}
        asked["requestContext"]["http"] |= {"method": "GET", "path": path, "sourceIp": address}
        return world().stack.invoke("Api", asked)["statusCode"]


if __name__ == "__main__":
    unittest.main()
