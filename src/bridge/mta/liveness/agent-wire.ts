/**
 * What a liveness agent and its client say to each other: frames of a length (4 bytes, big-endian) and JSON in UTF-8.
 *
 * First the client says who it is (`{"milterhost":1,"token":…}`) and the agent that it is known (`{"ok":true}`). Then each question
 * (`{"id":1,"ask":[{"client":[…],"servers":[[…]],"seen":null}]}`) gets one answer (`{"id":1,"sights":[…],"cost":1.5}`). An agent from before `unread`
 * leaves it out, and a client from before it passes it over. Everything is checked where it is read; what does not fit is an
 * `AgentWireError`, after which the connection is of no use. No socket here.
 */
import type { Endpoint, LivenessQuestion, Sight } from '../../../host/time/liveness.ts'

export class AgentWireError extends Error {}

/** Bytes of a frame before and after the client is known. */
export const HELLO_BYTES = 4096
export const FRAME_BYTES: number = 4 * 1024 * 1024
export const MOST_QUESTIONS = 20_000
const VERSION = 1
const PREFIX = 4
const LONGEST_ADDRESS = 64
const MOST_SERVERS = 64

export function encode(value: object): Buffer {
  const text = Buffer.from(JSON.stringify(value))
  const frame = Buffer.allocUnsafe(PREFIX + text.length)
  frame.writeUInt32BE(text.length)
  text.copy(frame, PREFIX)
  return frame
}

/** Cuts a stream into frames; `limit` may grow. */
export class Frames {
  limit: number
  #chunks: Buffer[] = []
  #length = 0

  constructor(limit: number) {
    this.limit = limit
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
  }

  /** The next whole frame, `undefined` until there is one. Throws AgentWireError. */
  next(): unknown {
    if (this.#length < PREFIX) return undefined
    const length = this.#whole(PREFIX).readUInt32BE()
    if (length > this.limit) throw new AgentWireError(`a frame of ${length} bytes, ${this.limit} is the most`)
    if (this.#length < PREFIX + length) return undefined
    const all = this.#whole(PREFIX + length)
    this.#chunks[0] = all.subarray(PREFIX + length)
    this.#length -= PREFIX + length
    try {
      return JSON.parse(all.toString('utf8', PREFIX, PREFIX + length)) as unknown
    } catch {
      throw new AgentWireError('a frame that is no JSON')
    }
  }

  /** The first piece, made at least so long; joined only when it has to be. */
  #whole(least: number): Buffer {
    if (this.#chunks[0]!.length < least) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]!
  }
}

export const hello = (token: string): Buffer => encode({ milterhost: VERSION, token })

export function readHello(value: unknown): string {
  const { milterhost, token } = object(value)
  if (milterhost !== VERSION) throw new AgentWireError(`version ${String(milterhost)} is not spoken here`)
  if (typeof token !== 'string') throw new AgentWireError('no token')
  return token
}

export const ask = (id: number, questions: readonly LivenessQuestion[]): Buffer =>
  encode({
    id,
    ask: questions.map(({ connection: { client, servers }, seen }) => ({
      client: [client.address, client.port],
      servers: servers.map(({ address, port }) => [address, port]),
      seen,
    })),
  })

export function readAsk(value: unknown): { readonly id: number; readonly questions: LivenessQuestion[] } {
  const { id, ask: list } = object(value)
  if (!Number.isSafeInteger(id) || !Array.isArray(list)) throw new AgentWireError('no question')
  if (list.length > MOST_QUESTIONS)
    throw new AgentWireError(`${list.length} questions at once, ${MOST_QUESTIONS} is the most`)
  const questions = list.map((each): LivenessQuestion => {
    const { client, servers, seen } = object(each)
    if (!Array.isArray(servers) || servers.length > MOST_SERVERS) throw new AgentWireError('no list of servers')
    if (seen !== null && typeof seen !== 'string') throw new AgentWireError('"seen" is no text')
    return { connection: { client: endpoint(client), servers: servers.map(endpoint) }, seen }
  })
  return { id: id as number, questions }
}

export function readSights(
  value: unknown,
  id: number,
  expected: number,
): { readonly sights: Sight[]; readonly cost: number } {
  const answer = object(value)
  if (typeof answer.error === 'string') throw new AgentWireError(`the agent says: ${answer.error}`)
  const { sights, cost } = answer
  if (answer.id !== id || !Array.isArray(sights) || sights.length !== expected)
    throw new AgentWireError('an answer to another question')
  return {
    cost: typeof cost === 'number' && cost >= 0 ? cost : 0,
    sights: sights.map((sight): Sight => {
      const { state, socket, unread } = object(sight)
      if (state === 'gone' || state === 'unknown') return { state }
      if (state !== 'present') throw new AgentWireError('an answer that is none of present, gone, unknown')
      return {
        state,
        ...(typeof socket === 'string' ? { socket } : {}),
        ...(typeof unread === 'boolean' ? { unread } : {}),
      }
    }),
  }
}

function endpoint(value: unknown): Endpoint {
  const [address, port] = Array.isArray(value) ? (value as unknown[]) : []
  if (typeof address !== 'string' || address.length > LONGEST_ADDRESS) throw new AgentWireError('no address')
  if (!Number.isInteger(port) || (port as number) < 0 || (port as number) > 65_535) throw new AgentWireError('no port')
  return { address, port: port as number }
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new AgentWireError('no object')
  return value as Record<string, unknown>
}
