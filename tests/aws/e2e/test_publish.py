"""Changes of links on their way to the stores of edges: by stream, by schedule, by comparison."""

import unittest

from deployment import Failed, wait_until
from world import ATTEMPT_SECONDS, driving, event, only_on_the_emulator, world

STATE = "!state"
# After a minute a link is no longer new; and room for a slow machine.
SETTLED_SECONDS = 120


def key(slug):
    """The key of a record."""
    return f"go.example/{slug}"


def wait_for(condition, what, seconds=ATTEMPT_SECONDS):
    """Waits for the store of the edge."""
    try:
        return wait_until(condition, seconds, what)
    except Failed as failure:
        raise AssertionError(f"{failure}\n{world().stack.logs('Publish')}") from failure


@only_on_the_emulator
class Publish(unittest.TestCase):
    def setUp(self):
        self.store = world().cloudflare

    def value(self, slug):
        return self.store.values.get(key(slug))

    def test_follows_changes(self):
        with driving("create, change, disable, delete a link: the edge's store", "follows"):
            world().create(slug="told")
            first = wait_for(lambda: self.value("told"), "the record of a new link")
            changes = [
                ("PATCH", {"destination": "https://www.example.com/other"}),
                ("PATCH", {"disabled": True}),
                ("DELETE", None),
            ]
            seen = {first}
            for method, body in changes:
                answer = world().call(method, "/api/v1/links/told", body)
                self.assertIn(answer.status, (200, 204), answer.text)
                changed = wait_for(
                    lambda: self.value("told") not in seen and self.value("told"),
                    f"the record after {method} {body}",
                )
                seen.add(changed)

    def test_a_password_takes_the_open_record_away(self):
        with driving("a password for a published link", "its record in the store has it"):
            world().create(slug="locked-later")
            is_open = wait_for(lambda: self.value("locked-later"), "the record of a new link")
            body = {"password": "open sesame"}
            answer = world().call("PATCH", "/api/v1/links/locked-later", body)
            self.assertEqual(answer.status, 200, answer.text)
            wait_for(lambda: self.value("locked-later") != is_open, "the record with a password")
            world().create(slug="locked-first", password="open sesame")
            wait_for(lambda: self.value("locked-first"), "the record of a link with a password")
            # Only the same link without its password has the record that was there.
            answer = world().call("PATCH", "/api/v1/links/locked-later", {"password": None})
            self.assertEqual(answer.status, 200, answer.text)
            locked = self.value("locked-later")
            wait_for(lambda: self.value("locked-later") != locked, "the record without it")
            failures = [line["ReplicationFailures"] for line in world().metrics("publish")]
            self.assertEqual(sum(failures), 0, world().stack.logs("Publish"))

    def test_puts_many_changes_of_one_link_together(self):
        with driving("20 changes of one link in a row", "the newest is in the store"):
            world().create(slug="often")
            for number in range(20):
                body = {"destination": f"https://www.example.com/{number}"}
                answer = world().call("PATCH", "/api/v1/links/often", body)
                self.assertEqual(answer.status, 200, answer.text)
            newest = b"https://www.example.com/19"
            wait_for(lambda: newest in (self.value("often") or b""), "the newest record")

    def test_state_is_published_by_the_clock(self):
        with driving("the state, by schedule", "in the store"):
            self.store.values.pop(STATE, None)
            world().stack.invoke("Publish", event("schedule-state"))
            wait_for(lambda: STATE in self.store.values, "the state")

    def test_a_wiped_store_is_rebuilt(self):
        with driving("the edge's store wiped, a stray put into it, reconcile", "as the table"):
            slugs = world().settled
            wait_for(lambda: all(self.value(slug) for slug in slugs), "records of links")
            before = {slug: self.value(slug) for slug in slugs}
            self.store.wipe()
            self.store.values[key("stray")] = b"stray"
            self.store.metadata[key("stray")] = {"waypost": "stray"}

            # What was written less than a minute ago is left to `publish`.
            def rebuilt():
                world().stack.invoke("Reconcile", {"task": "reconcile", "anew": True})
                return {slug: self.value(slug) for slug in slugs} == before

            wait_for(rebuilt, "records after the store was wiped", SETTLED_SECONDS)
            self.assertNotIn(key("stray"), self.store.keys())


if __name__ == "__main__":
    unittest.main()
