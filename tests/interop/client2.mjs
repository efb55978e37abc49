// The current TypeScript client: npm `@modelcontextprotocol/client` 2.x, which begins with `server/discover`.

import { Client, ProtocolError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import assert from 'node:assert/strict';
import { main } from './walk.mjs';

await main(async (url) => {
  const client = new Client(
    { name: 'stockade-interop-client2', version: '1.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  );
  await client.connect(new StreamableHTTPClientTransport(url));
  const revision = client.getNegotiatedProtocolVersion();
  assert.equal(revision, '2026-07-28', 'the newest revision this client speaks, without falling back');
  return { client, revision, errorClass: ProtocolError };
});
