// The client that most hosts still embed: npm `@modelcontextprotocol/sdk` 1.x over streamable HTTP.

import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import assert from 'node:assert/strict';
import { connect } from './legacy.mjs';
import { main } from './walk.mjs';

await main(async (url) => {
  const transport = new StreamableHTTPClientTransport(url);
  const connection = await connect('stockade-interop-sdk1', transport);
  const revision = transport.protocolVersion;
  assert.equal(revision, '2025-11-25', 'the newest revision this client speaks');
  assert.ok(transport.sessionId, 'what a client subscribes to belongs to a session, so it needs one');
  return { ...connection, revision, end: () => transport.terminateSession() };
});
