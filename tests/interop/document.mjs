// Stock Yjs clients of the registry's document: yjs and y-websocket, from their registry. Prints what they saw.
//
//     node document.mjs URL OPERATOR_TOKEN [--idle=SECONDS]
import assert from "node:assert/strict";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const [url, token, ...options] = process.argv.slice(2);
const idle = Number(options.find((option) => option.startsWith("--idle="))?.slice(7) ?? 0);
const seen = {};

// A client: a document and its connection. Without a token it may only read.
function client({ token: secret, doc = new Y.Doc() } = {}) {
  const protocols = secret ? ["stockade.yjs", `stockade.token.${secret}`] : [];
  const provider = new WebsocketProvider(`${url}/yjs`, "@mcp.registry", doc, { disableBc: true, protocols });
  const self = { doc, provider, agents: doc.getMap("agents"), drops: 0, closes: [] };
  provider.on("connection-close", (event) => self.closes.push(event?.code));
  provider.on("status", ({ status }) => status === "disconnected" && self.drops++);
  return self;
}

async function until(what, condition) {
  for (let waited = 0; !condition(); waited += 10) {
    assert(waited < 20_000, `in vain: ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

const synced = (...clients) => until("sync", () => clients.every(({ provider }) => provider.synced));
const field = ({ agents }, agent, name) => agents.get(agent)?.get(name);
const set = ({ agents }, agent, name, value) => agents.get(agent).set(name, value);
const everywhere = (clients, agent, name, value) =>
  until(`${agent}.${name} is ${value}`, () => clients.every((one) => field(one, agent, name) === value));
const same = (clients) => {
  const [first, ...others] = clients.map(({ agents }) => JSON.stringify(sorted(agents.toJSON())));
  return others.every((other) => other === first);
};
const sorted = (value) =>
  value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]))
    : value;
const end = (...clients) => clients.forEach(({ provider }) => provider.destroy());

const ann = client({ token });
const bob = client({ token });
const reader = client();
await synced(ann, bob, reader);
seen.agents = [...ann.agents.keys()].sort();
const [first, second] = seen.agents;
assert(first && second, "two agents at least");

// Both ways, and to those who only read.
set(ann, first, "title", "from Ann");
await everywhere([ann, bob, reader], first, "title", "from Ann");
ann.agents.get(first).delete("title");
await everywhere([ann, bob, reader], first, "title", undefined);
seen.edits = true;

// Two fields of one agent, while one of them is away; and one field, at once.
ann.provider.disconnect();
set(ann, first, "title", "written offline");
set(bob, first, "description", "written meanwhile");
set(ann, second, "title", "Ann's");
set(bob, second, "title", "Bob's");
ann.provider.connect();
await everywhere([ann, bob, reader], first, "title", "written offline");
await everywhere([ann, bob, reader], first, "description", "written meanwhile");
await until("one title", () => same([ann, bob, reader]));
seen.offline = true;

// Who comes late finds everything.
const late = client({ token });
await synced(late);
await until("the late one has all", () => same([late, bob]));
seen.late = true;

// Presence: told, echoed, and taken back.
ann.provider.awareness.setLocalStateField("user", { name: "Ann" });
const user = () => bob.provider.awareness.getStates().get(ann.doc.clientID)?.user?.name;
await until("Bob sees Ann", () => user() === "Ann");
ann.provider.disconnect();
await until("Ann has gone", () => user() === undefined);
ann.provider.connect();
await synced(ann);
seen.awareness = true;

// Many at once: each is told of all others, and repeats it, as y-websocket does.
const many = Array.from({ length: 24 }, () => client());
await synced(...many);
many.forEach(({ provider }, at) => provider.awareness.setLocalStateField("user", { name: `reader ${at}` }));
const newcomer = client();
await synced(newcomer);
newcomer.provider.awareness.setLocalStateField("user", { name: "newcomer" });
const everybody = [...many, newcomer];
const knows = ({ provider }, { doc }) => provider.awareness.getStates().get(doc.clientID)?.user !== undefined;
await until("all know each other", () => everybody.every((one) => everybody.every((other) => knows(one, other))));
end(...many);
await until("many have gone", () => !many.some((one) => knows(newcomer, one) || knows(bob, one)));
seen.crowd = [newcomer, bob, reader].every(({ closes }) => closes.length === 0) && many.length;
end(newcomer);

// What may not be is put back, for its author too; what is fixed by the manifest cannot be exceeded.
for (const wrong of ["lots", -1, 1.5, 2 ** 40, { a: 1 }]) {
  set(ann, first, "memory", wrong);
  await until(`memory ${wrong} is put back`, () => field(ann, first, "memory") === undefined);
}
ann.agents.get(first).set("memory", 4 * 1024 * 1024);
await everywhere([bob, reader], first, "memory", 4 * 1024 * 1024);
seen.corrected = true;

// Who may not write is sent away for good: y-websocket does not come back after 4403.
const refused = async (who, edit) => {
  await synced(who);
  edit(who);
  await until("refusal", () => who.closes.length > 0);
  end(who);
  return who.closes[0];
};
seen.refusals = {
  reader: await refused(client(), (who) => set(who, first, "title", "by a reader")),
  name: await refused(client({ token }), (who) => set(who, first, "name", "another")),
  unknown: await refused(client({ token }), (who) => set(who, first, "colour", "red")),
  create: await refused(client({ token }), (who) => who.agents.set("new", new Y.Map())),
  remove: await refused(client({ token }), (who) => who.agents.delete(second)),
  text: await refused(client({ token }), (who) => set(who, first, "title", new Y.Text("text"))),
  root: await refused(client({ token }), (who) => who.doc.getMap("others").set("a", 1)),
  list: await refused(client({ token }), (who) => set(who, first, "title", Y.Array.from([1]))),
};
assert.equal(field(bob, first, "name"), first);
await synced(ann, bob);

// Anything, by anybody, whenever: in the end all have the same.
let random = 42;
const below = (n) => (random = (random * 1103515245 + 12345) % 2147483648) % n;
const values = {
  title: () => `title ${below(1000)}`,
  description: () => "x".repeat(below(200)),
  enabled: () => below(2) === 1,
  memory: () => (1 + below(4)) * 1024 * 1024,
  deadline: () => 1000 + below(1000),
  concurrency: () => 1 + below(3),
};
const names = Object.keys(values);
const crowd = [ann, bob, late];
let operations = 0;
for (; operations < 1500; operations++) {
  const who = crowd[below(crowd.length)];
  const [agent, name] = [seen.agents[below(seen.agents.length)], names[below(names.length)]];
  if (below(100) === 0) who.provider[who.provider.wsconnected ? "disconnect" : "connect"]();
  if (below(5) === 0) who.agents.get(agent).delete(name);
  else set(who, agent, name, values[name]());
  if (below(10) === 0) await new Promise((done) => setTimeout(done, below(20)));
}
crowd.forEach(({ provider }) => provider.connect());
await synced(...crowd);
await until("all have the same", () => same([...crowd, reader]));
seen.converged = operations;
seen.pending = [...crowd, reader].filter(({ doc }) => doc.store.pendingStructs || doc.store.pendingDs).length;

if (idle > 0) {
  const before = [bob, reader].map(({ drops }) => drops);
  await new Promise((done) => setTimeout(done, idle * 1000));
  seen.drops = [bob, reader].reduce((sum, { drops }, at) => sum + drops - before[at], 0);
}
// What makes the next run find what this one found.
for (const agent of seen.agents) names.forEach((name) => bob.agents.get(agent).delete(name));
await until("all is deleted", () => names.every((name) => field(reader, first, name) === undefined));
end(ann, bob, late, reader);
console.log(JSON.stringify(seen));
process.exit(0);
