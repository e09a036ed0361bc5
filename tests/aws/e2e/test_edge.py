"""Visitors at the edge: the Worker on workerd in front of the deployed stack."""

import time
import unittest

from clicks import FIREFOX
from deployment import Failed, wait_until
from edge import Edge
from world import driving, note, only_on_the_emulator, world

# What edges promise (docs/edges.md), and room for a slow machine.
OBEYED_SECONDS = 90
WARM_SECONDS = 3
TARGET = "https://www.example.com/"


@only_on_the_emulator
class AtTheEdge(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.edge = Edge(world())

    @classmethod
    def tearDownClass(cls):
        cls.edge.stop()

    def until(self, condition, seconds, what):
        try:
            return wait_until(condition, seconds, what)
        except Failed as failure:
            logs = f"{self.edge.log()}\n{world().stack.logs('Publish')}"
            raise AssertionError(f"{failure}\n{logs}") from failure

    def test_a_link_resolves_at_once(self):
        with driving("create a link, follow it at the edge at once", "302 by way of the origin"):
            for number in range(5):
                world().create(slug=f"fresh-{number}", destination=f"{TARGET}{number}")
                answer = self.edge.follow(f"fresh-{number}")
                self.assertEqual(answer, (302, f"{TARGET}{number}"), self.edge.log())

    def test_visits_are_counted(self):
        with driving("250 visits: edge, queue, bucket, rollup", "statistics equal what was sent"):
            world().create(slug="visited")
            self.until(
                lambda: "go.example/visited" in world().cloudflare.values, 40, "the record in KV"
            )
            for number in range(250):
                language = ("de-DE", "fr-FR")[number % 2]
                answer = self.edge.follow("visited", user_agent=FIREFOX, accept_language=language)
                self.assertEqual(answer, (302, TARGET))

            def counted():
                world().roll_up()
                return world().stats("visited")["totals"]["all"] == 250

            self.until(counted, 60, "250 counted visits")
            stats = world().stats("visited", by="language")
            found = {row["value"]: row["clicks"] for row in stats["breakdowns"]["language"]}
            self.assertEqual(found, {"de": 125, "fr": 125})
            account = world().call("GET", "/api/v1/stats/integrity").json
            self.assertEqual(account["lost"], 0)

    def test_a_disabled_link_stops(self):
        with driving("disable a link that the edge has in memory", "the edge obeys"):
            world().create(slug="stopped")
            # Until the edge has read the state once and remembers the link: then it looks again
            # only every 30 s.
            warm = time.monotonic() + WARM_SECONDS
            while time.monotonic() < warm:
                self.assertEqual(self.edge.follow("stopped"), (302, TARGET))
            answer = world().call("PATCH", "/api/v1/links/stopped", {"disabled": True})
            self.assertEqual(answer.status, 200, answer.text)
            began = time.monotonic()
            self.until(lambda: self.edge.follow("stopped")[0] != 302, OBEYED_SECONDS, "an end")
            note("from disabling to the edge's obeying", "under 90 s", began)

    def test_a_password_is_asked_for(self):
        with driving("a password for a link that is in KV, then a visit", "not its destination"):
            store = world().cloudflare.values
            world().create(slug="guarded")
            self.until(lambda: "go.example/guarded" in store, 40, "the record in KV")
            is_open = store["go.example/guarded"]
            answer = world().call("PATCH", "/api/v1/links/guarded", {"password": "open sesame"})
            self.assertEqual(answer.status, 200, answer.text)
            self.until(lambda: store["go.example/guarded"] != is_open, 40, "the record with it")
            status, location = self.edge.follow("guarded")
            self.assertEqual((status, location), (200, None), self.edge.log())

    def test_who_was_never_a_link_is_not_found(self):
        with driving("an unknown slug at the edge", "404"):
            self.assertEqual(self.edge.follow("nobody-made-this")[0], 404)
