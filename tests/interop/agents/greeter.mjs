// An agent in JavaScript: one tool that greets, as the smallest Rust agent does it. The `payload` of what is thrown is the
// contract's `error`; any other exception is a trap.

const SCHEMA = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };

const refusal = (tag, val) => Object.assign(new Error(val), { payload: { tag, val } });

export const describe = {
  describe: () => ({
    title: "Greeter",
    description: "Greets, in JavaScript.",
    version: "0.1.0",
    icons: [],
    changes: {},
  }),
};

export const tools = {
  listTools: () => ({
    tools: [
      { name: "greet", description: "Says hello to somebody.", inputSchema: JSON.stringify(SCHEMA), icons: [] },
    ],
  }),

  call(name, args) {
    if (name !== "greet") throw refusal("not-found", `no tool ${name}; there is greet`);
    const { name: who } = JSON.parse(args);
    if (typeof who !== "string") throw refusal("invalid-input", "`name` must be a text");
    const text = { tag: "text", val: { text: `Hello, ${who}, from JavaScript!` } };
    return { content: [text], isError: false };
  },
};
