// The Worker's module, loaded and instantiated, behind a constant answer: what starting it takes.
import "./shim.mjs";

export default {
  fetch() {
    return new Response(null, { status: 302, headers: { location: "https://example.com/" } });
  },
};
