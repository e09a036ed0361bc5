// Workers KV as workerd asks for it, answering at once: every link is there.
const record = Uint8Array.from(
  atob("AUAAAICAgKTK8vzQAQGk6sfqv2gUaHR0cHM6Ly9leGFtcGxlLmNvbS8KQW4gZXhhbXBsZQ=="),
  (character) => character.charCodeAt(0),
);
export default {
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (decodeURIComponent(pathname) === "/!state") return new Response(null, { status: 404 });
    // Keys of Waypost name a domain, those of the hand-written Worker do not.
    return new Response(pathname.includes("%2F") ? record : "https://example.com/");
  },
};
