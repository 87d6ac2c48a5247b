// The official Socket.IO client, told what to do by JSON lines and telling in JSON lines what it sees.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const tell = (news) => process.stdout.write(JSON.stringify(news) + "\n");
let socket = null;

const orders = {
  connect({ url, options }) {
    socket = io(url, { reconnection: false, forceNew: true, ...options });
    socket.on("connect", () => tell({ news: "connected", detail: socket.io.engine.transport.name }));
    socket.on("connect_error", (error) => tell({ news: "refused", detail: error.message }));
    socket.on("disconnect", (reason) => tell({ news: "gone", detail: reason }));
    socket.onAny((event, ...args) => tell({ news: "event", event, args }));
  },
  emit({ event, args }) {
    socket.emit(event, ...args);
  },
  disconnect() {
    socket.disconnect();
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { order, ...rest } = JSON.parse(line);
    orders[order](rest);
  })
  .on("close", () => process.exit(0));
tell({ news: "ready", detail: process.version });
