// Reads {secret, headers, content} and writes the payload; it ends with an error if the signature is not right.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");

const [packages] = process.argv.slice(2);
const { Webhook } = createRequire(`${packages}/`)("standardwebhooks");
const { secret, headers, content } = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(new Webhook(secret).verify(content, headers)));
