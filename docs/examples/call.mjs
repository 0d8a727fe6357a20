// One call through the gate with Node, and a refusal told from data.
// DIR: where certs/ is. TOKEN: a purpose token. GATE: the gate's address.
import fs from "node:fs";
import https from "node:https";

const { DIR, TOKEN, GATE = "https://localhost:8443", AREA = "341091" } = process.env;
const agent = new https.Agent({
  keepAlive: true,
  ca: fs.readFileSync(`${DIR}/certs/ca.pem`),
  cert: fs.readFileSync(`${DIR}/certs/clients/minzheng-aid.pem`),
  key: fs.readFileSync(`${DIR}/certs/clients/minzheng-aid.key`),
});

function get(url) {
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${TOKEN}` };
    const request = https.get(url, { agent, headers, timeout: 30_000 }, (reply) => {
      const parts = [];
      reply.on("data", (part) => parts.push(part));
      reply.on("end", () => resolve({ reply, body: JSON.parse(Buffer.concat(parts)) }));
      // A reply that was cut off must never pass for a whole one.
      reply.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", reject);
  });
}

const { reply, body } = await get(`${GATE}/population/residents?area=${AREA}&size=2`);
agent.destroy();
if (reply.statusCode !== 200) {
  console.error(`${body.code}: ${body.detail} (${body.request_id})`);
  process.exit(1);
}
console.log(reply.statusCode, reply.headers["pinegate-grant"]);
for (const record of body.data) console.log(JSON.stringify(record));
