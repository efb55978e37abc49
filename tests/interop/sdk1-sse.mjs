// npm `@modelcontextprotocol/sdk` 1.x over HTTP+SSE, the transport of 2024-11-05: it opens the stream at `/sse` and posts
// to the address that the stream's first event names.

import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import assert from 'node:assert/strict';
import { connect } from './legacy.mjs';
import { main } from './walk.mjs';

/**
 * Remembers the revision that was agreed on, which this transport keeps to itself.
 *
 * And hands on each message after those before it: the library handles a reply at once but a notice one microtask later,
 * so the last progress of a call is lost to it whenever it comes in one chunk with the reply.
 */
class Transport extends SSEClientTransport {
  #handled = Promise.resolve();
  #handler;

  // Without a handler there is none to hand on to either: the library chains the one it finds.
  get onmessage() {
    return this.#handler;
  }

  set onmessage(handler) {
    this.#handler = (message) => {
      this.#handled = this.#handled.then(() => handler(message));
    };
  }

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
