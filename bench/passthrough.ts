/*
 * The baseline of every ratio: a plain pass-through, bytes in, bytes out, as anyone would write it in Node with
 * net and pipe. It knows nothing of the milter protocol. It is one process of its own, like what it is compared with.
 *
 *   node bench/passthrough.ts LISTEN UPSTREAM      (unix:/path or inet:PORT@127.0.0.1)
 */
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net'

function endpoint(address: string): NetConnectOpts {
  const inet = /^inet:(\d+)@(127\.[\d.]+)$/.exec(address)
  if (inet) return { port: Number(inet[1]), host: inet[2]! }
  return { path: address.replace(/^unix:/, '') }
}

const [listen, upstream] = process.argv.slice(2)
if (listen === undefined || upstream === undefined) {
  console.error('usage: node bench/passthrough.ts LISTEN UPSTREAM')
  process.exit(2)
}
const target = endpoint(upstream)

/** Ends the other half when one half is gone, however it went. */
function join(from: Socket, to: Socket): void {
  from.setNoDelay(true)
  from.on('error', () => to.destroy())
  from.on('close', () => to.destroy())
  from.pipe(to)
}

const server = createServer(client => {
  const milter = connect(target)
  join(client, milter)
  join(milter, client)
})
server.listen({ ...endpoint(listen), backlog: 4096 }, () => console.log('ready'))
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0))
