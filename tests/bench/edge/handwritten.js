// What one would write by hand: a key, a value, a redirect. No rules, no counting.
export default {
  async fetch(request, env) {
    const slug = new URL(request.url).pathname.slice(1);
    const destination = await env.LINKS.get(slug, { cacheTtl: 60 });
    if (destination === null) return new Response("not found", { status: 404 });
    return new Response(null, { status: 302, headers: { location: destination } });
  },
};
