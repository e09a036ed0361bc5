// The least a Worker can do.
export default {
  fetch() {
    return new Response(null, { status: 302, headers: { location: "https://example.com/" } });
  },
};
