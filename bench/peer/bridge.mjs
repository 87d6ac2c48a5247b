// What one would build instead, in ten lines: an MQTT broker and Socket.IO, each reading emitted to every browser.
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { Aedes } from "aedes";
import { Server } from "socket.io";

const broker = await Aedes.createBroker();
const web = createServer();
const io = new Server(web);
broker.on("publish", (packet, client) => client && io.emit("reading", { topic: packet.topic, payload: packet.payload.toString() }));
createTcpServer(broker.handle).listen(Number(process.argv[2]), "127.0.0.1");
web.listen(Number(process.argv[3]), "127.0.0.1");
