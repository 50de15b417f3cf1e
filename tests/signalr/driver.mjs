// Plays what a test wants with the official client. A line of JSON in is a command, a line of JSON out an event:
//
//   {"do": "connect", "name": "a", "url": …, "token": …, "transport": "WebSockets", "reconnect": [0, 100], …}
//     → {"event": "connected", "name": "a", "id": …} or {"event": "failed", "name": "a", "error": …}
//   {"do": "invoke", "name": "a", "call": 1, "method": "SendMessage", "arguments": ["Hello"]}
//     → {"event": "completed", "name": "a", "call": 1, "error": null}
//   {"do": "send" …} as invoke, without waiting for the method's end → {"event": "sent", …}
//   {"do": "show" …} as invoke, but as the app does it (LiftLog's app/src/services/ai-chat-service-v2.ts): it listens while
//     the call is under way, and when it ends, it takes away whatever listens then
//     → {"event": "shown", "name": "a", "call": 1, "message": the last one that the bubble got, or null}
//   {"do": "stop", "name": "a"} → {"event": "stopped", "name": "a"}
//
// And unasked: {"event": "message" | "closed" | "reconnecting" | "reconnected", "name": "a", …}

import { createInterface } from "node:readline";
import * as signalr from "@microsoft/signalr";

const connections = new Map();
const say = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const text = (error) => (error ? String(error.message ?? error) : null);

function build({ url, token, transport, reconnect, skipNegotiation, serverTimeoutMs, keepAliveMs }) {
  const options = { accessTokenFactory: () => token, skipNegotiation };
  if (transport) options.transport = signalr.HttpTransportType[transport];
  const builder = new signalr.HubConnectionBuilder().withUrl(url, options).configureLogging(signalr.LogLevel.None);
  if (reconnect) builder.withAutomaticReconnect(reconnect);
  const connection = builder.build();
  if (serverTimeoutMs) connection.serverTimeoutInMilliseconds = serverTimeoutMs;
  if (keepAliveMs) connection.keepAliveIntervalInMilliseconds = keepAliveMs;
  return connection;
}

const commands = {
  async connect(command) {
    const { name } = command;
    const connection = build(command);
    connection.on("ReceiveMessage", (message) => say({ event: "message", name, message }));
    connection.onclose((error) => say({ event: "closed", name, error: text(error) }));
    connection.onreconnecting((error) => say({ event: "reconnecting", name, error: text(error) }));
    connection.onreconnected((id) => say({ event: "reconnected", name, id }));
    connections.set(name, connection);
    try {
      await connection.start();
      say({ event: "connected", name, id: connection.connectionId });
    } catch (error) {
      say({ event: "failed", name, error: text(error) });
    }
  },
  async invoke({ name, call, method, arguments: given }) {
    try {
      await connections.get(name).invoke(method, ...given);
      say({ event: "completed", name, call, error: null });
    } catch (error) {
      say({ event: "completed", name, call, error: text(error) });
    }
  },
  async send({ name, call, method, arguments: given }) {
    await connections.get(name).send(method, ...given);
    say({ event: "sent", name, call });
  },
  async show({ name, call, method, arguments: given }) {
    const connection = connections.get(name);
    let shown = null;
    connection.on("ReceiveMessage", (message) => (shown = message));
    await connection.invoke(method, ...given).catch(() => {});
    connection.off("ReceiveMessage");
    say({ event: "shown", name, call, message: shown });
  },
  async stop({ name }) {
    await connections.get(name).stop();
    say({ event: "stopped", name });
  },
};

createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.do](command).catch((error) => say({ event: "fault", error: text(error) }));
}).on("close", () => process.exit());
