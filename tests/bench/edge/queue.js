// SQS, taking everything.
export default {
  async fetch(request) {
    const { Entries: entries } = await request.json();
    return Response.json({ Successful: entries.map(({ Id }) => ({ Id })), Failed: [] });
  },
};
