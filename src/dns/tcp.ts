/**
 * One query and its answer over TCP, for answers that do not fit into UDP (RFC 7766). A connection a query.
 *
 * What the server sends is bounded by the length it announces, two bytes. Ends with the signal; the caller has bound it in time.
 */
import { connect } from 'node:net'
import { readAnswer } from './answer.ts'
import type { Query } from './query.ts'
import type { NameServer } from './servers.ts'
import type { Answer } from './udp.ts'

/** Rejects with the socket's error, or the signal's reason. */
export function askTcp(query: Query, server: NameServer, signal: AbortSignal): Promise<Answer> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const socket = connect({ host: server.address, port: server.port })
  const cancelled = (): void => reject(signal.reason)
  const pieces: Buffer[] = []
  let size = 0
  /** With its two bytes of length; unknown before those are here. */
  let whole = 2
  signal.addEventListener('abort', cancelled, { once: true })
  socket.on('error', reject)
  socket.on('close', () => resolve({ kind: 'broken', why: 'the server closed the connection before its answer' }))
  socket.on('connect', () => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.bytes.length)
    socket.write(Buffer.concat([length, query.bytes]))
  })
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece)
    size += piece.length
    if (size < whole) return
    if (whole === 2) whole += Buffer.concat(pieces).readUInt16BE(0)
    if (size < whole) return
    const reading = readAnswer(Buffer.concat(pieces).subarray(2, whole), query)
    if (reading.kind === 'foreign') resolve({ kind: 'broken', why: 'it belongs to another query' })
    else if (reading.kind === 'truncated') resolve({ kind: 'broken', why: 'it is truncated over TCP' })
    else resolve(reading)
  })
  return promise.finally(() => {
    signal.removeEventListener('abort', cancelled)
    socket.destroy()
  })
}
