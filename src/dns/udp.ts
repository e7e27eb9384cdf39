/**
 * One query and its answer over UDP.
 *
 * A socket a query, so that each goes out from a port of its own, and connected, so that the kernel drops what comes from
 * anywhere else and tells of a closed port at once. What is not the answer is waited past; too much of it ends the try,
 * since somebody is guessing. Ends with the signal; the caller has bound it in time.
 */
import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { type Reading, readAnswer } from './answer.ts'
import type { Query } from './query.ts'
import type { NameServer } from './servers.ts'

const MOST_FOREIGN = 100

export type Answer = Exclude<Reading, { kind: 'foreign' }>

/** Rejects with the socket's error, or the signal's reason. */
export function askUdp(query: Query, server: NameServer, signal: AbortSignal): Promise<Answer> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const socket = createSocket(isIPv6(server.address) ? 'udp6' : 'udp4')
  const cancelled = (): void => reject(signal.reason)
  let foreign = 0
  signal.addEventListener('abort', cancelled, { once: true })
  socket.on('error', reject)
  socket.on('message', message => {
    const reading = readAnswer(message, query)
    if (reading.kind !== 'foreign') resolve(reading)
    else if (++foreign >= MOST_FOREIGN) resolve({ kind: 'broken', why: 'it came with many that belong to no query' })
  })
  // As an event, not as a callback: a callback would be given the error too.
  socket.on('connect', () => {
    if (!signal.aborted) socket.send(query.bytes)
  })
  socket.connect(server.port, server.address)
  return promise.finally(() => {
    signal.removeEventListener('abort', cancelled)
    socket.close()
  })
}
