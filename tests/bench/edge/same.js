// The least a Worker can do that answers what Waypost answers.
const headers = {
  location: "https://example.com/",
  "cache-control": "private, no-store",
  "referrer-policy": "strict-origin-when-cross-origin",
  "x-robots-tag": "noindex",
};
export default {
  fetch() {
    return new Response(null, { status: 302, headers });
  },
};
