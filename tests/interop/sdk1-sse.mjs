// npm `@modelcontextprotocol/sdk` 1.x over HTTP+SSE, the transport of 2024-11-05: it opens the stream at `/sse` and posts
// to the address that the stream's first event names.

import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import assert from 'node:assert/strict';
import { connect } from './legacy.mjs';
import { main } from './walk.mjs';

/** Remembers the revision that was agreed on, which this transport keeps to itself. */
class Transport extends SSEClientTransport {
  setProtocolVersion(revision) {
    this.revision = revision;
    super.setProtocolVersion(revision);
  }
}

await main(async (url) => {
  const transport = new Transport(url);
  const connection = await connect('stockade-interop-sdk1-sse', transport);
  assert.equal(transport.revision, '2025-11-25', 'the newest revision this client speaks, over the old transport too');
  return { ...connection, revision: transport.revision };
});
