"""Links through the HTTP API: behind API Gateway, on DynamoDB, by the shipped function."""

import unittest

from world import driving, named, only_on_the_emulator, world


class Links(unittest.TestCase):
    def test_health_and_what_is_not_there(self):
        with driving("health, unknown paths, missing and wrong keys", "200, 404, 401"):
            health = world().call("GET", "/health", key="")
            self.assertEqual((health.status, health.json["status"]), (200, "ok"))
            self.assertEqual(world().call("GET", "/elsewhere").status, 404)
            self.assertEqual(world().call("GET", "/api/v1/elsewhere").status, 404)
            for key in ("", "wp_wrong", world().admin_key[:-1]):
                answer = world().call("GET", "/api/v1/links", key=key)
                self.assertEqual(answer.status, 401, key)
                self.assertEqual(answer.headers["content-type"], "application/problem+json")

    def test_a_links_life(self):
        with driving("create, read, change, disable, delete a link", "as docs/api.md says"):
            slug = named("life")
            path = f"/api/v1/links/{slug}"
            made = world().create(slug=slug, title="First", tags=["e2e-life"])
            self.assertEqual(made["short_url"], f"https://{world().host}/{slug}")
            self.assertEqual((made["state"], made["version"]), ("active", 1))

            read = world().call("GET", path)
            self.assertEqual(read.json, made)
            self.assertEqual(read.headers["etag"], '"v1"')
            again = world().call("GET", path, if_none_match='"v1"')
            self.assertEqual((again.status, again.text), (304, ""))

            taken = world().call(
                "POST", "/api/v1/links", {"destination": "https://a.example/", "slug": slug}
            )
            self.assertEqual(taken.status, 409)

            changed = world().call(
                "PATCH", path, {"title": "Second"}, if_match='"v1"'
            )
            self.assertEqual((changed.status, changed.json["version"]), (200, 2))
            stale = world().call("PATCH", path, {"title": "x"}, if_match='"v1"')
            self.assertEqual(stale.status, 412)

            disabled = world().call("PATCH", path, {"disabled": True})
            self.assertEqual(disabled.json["state"], "disabled")

            self.assertEqual(world().call("DELETE", path).status, 204)
            self.assertEqual(world().call("GET", path).status, 410)
            self.assertEqual(world().call("GET", f"{path}-never").status, 404)

    @only_on_the_emulator
    def test_a_slug_with_slashes(self):
        with driving("a link docs/2026, asked for as %2F and as /", "200, 200, 204, 410"):
            folder = named("docs")
            made = world().create(slug=f"{folder}/2026")
            self.assertEqual(made["short_url"], f"https://{world().host}/{folder}/2026")
            for slash in ("%2F", "%2f", "/", "%252F"):
                path = f"{folder}{slash}2026"
                read = world().call("GET", f"/api/v1/links/{path}")
                self.assertEqual((read.status, read.json), (200, made), path)
                stats = world().call("GET", f"/api/v1/links/{path}/stats")
                self.assertEqual((stats.status, stats.json["totals"]["all"]), (200, 0), path)
            path = f"/api/v1/links/{folder}%2F2026"
            changed = world().call("PATCH", path, {"title": "Handbook"}, if_match='"v1"')
            self.assertEqual((changed.status, changed.json["title"]), (200, "Handbook"))
            self.assertEqual(world().call("DELETE", path).status, 204)
            self.assertEqual(world().call("GET", path).status, 410)

    @only_on_the_emulator
    def test_a_slug_that_ends_like_a_resource(self):
        with driving("a link docs/stats", "as %252F; else it is the statistics of docs"):
            folder = named("docs")
            made = world().create(slug=f"{folder}/stats")
            read = world().call("GET", f"/api/v1/links/{folder}%252Fstats")
            self.assertEqual((read.status, read.json), (200, made))
            self.assertEqual(world().call("GET", f"/api/v1/links/{folder}%2Fstats").status, 404)

    def test_a_creation_repeated_makes_one_link(self):
        with driving("the same creation three times with an Idempotency-Key", "one link"):
            body = {"destination": "https://www.example.com/once"}
            answers = [
                world().call("POST", "/api/v1/links", body, idempotency_key=named("once"))
                for _ in range(3)
            ]
            self.assertEqual([answer.status for answer in answers], [201] * 3)
            self.assertEqual(len({answer.text for answer in answers}), 1)
            body["destination"] = "https://www.example.com/other"
            other = world().call("POST", "/api/v1/links", body, idempotency_key=named("once"))
            self.assertEqual(other.status, 422)

    def test_lists_page_through_all(self):
        with driving("30 links listed in pages of 7", "each once, newest first"):
            tag = named("pages")
            made = [world().create(tags=[tag])["id"] for _ in range(30)]
            found, cursor, pages = [], "", 0
            while cursor is not None:
                path = f"/api/v1/links?tag={tag}&limit=7"
                page = world().call("GET", f"{path}&cursor={cursor}" if cursor else path)
                self.assertEqual(page.status, 200, page.text)
                found += [link["id"] for link in page.json["data"]]
                cursor = page.json["next_cursor"]
                pages += 1
                self.assertLess(pages, 100)
            self.assertEqual(found, made[::-1])

    def test_keys_have_roles(self):
        with driving("keys: viewer and editor made, one revoked", "403, 201, 401"):
            keys = {
                role: world().call("POST", "/api/v1/keys", {"name": role, "role": role}).json
                for role in ("viewer", "editor")
            }
            body = {"destination": "https://www.example.com/"}
            viewer, editor = (keys[role]["secret"] for role in ("viewer", "editor"))
            self.assertEqual(world().call("POST", "/api/v1/links", body, key=viewer).status, 403)
            self.assertEqual(world().call("POST", "/api/v1/links", body, key=editor).status, 201)
            path = f"/api/v1/keys/{keys['editor']['id']}"
            self.assertEqual(world().call("DELETE", path).status, 204)
            self.assertEqual(world().call("POST", "/api/v1/links", body, key=editor).status, 401)


if __name__ == "__main__":
    unittest.main()
