/**
 * A connection without a network: pieces of a stream are handed to a `Connection` exactly as a test cuts them.
 */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { Complaints } from '../../../../src/bridge/mta/complaints.ts'
import { Connection, DEFAULT_DEADLINES } from '../../../../src/bridge/mta/connection.ts'
import { Negotiator } from '../../../../src/bridge/mta/negotiate.ts'
import {
  decodeReply,
  defaultMaxFrame,
  FrameDecoder,
  replyLetter,
  SpareBuffers,
} from '../../../../src/bridge/wire/index.ts'
import { HandClock } from '../../../host/support/clock.ts'
import { LogLines } from './mta.ts'
import { RecordingSource } from './recorder.ts'

class Pipe extends Duplex {
  readonly written: Buffer[] = []
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk)
    done()
  }
  destroySoon(): void {
    this.end(() => this.destroy())
  }
}

export interface Heard {
  readonly told: string[]
  readonly body: string
  readonly letters: string
  readonly codes: string[]
}

/** As a socket does it: what is read lies in memory of its own, which the connection frees. */
export const ownMemory = (piece: Buffer): Buffer => Buffer.from(new Uint8Array(piece).buffer)

/** What comes of a stream that arrives in these pieces; each is fully worked through, as far as it can be, before the next. */
export async function hear(
  pieces: readonly Buffer[],
  source: RecordingSource = new RecordingSource(),
  memory: (piece: Buffer) => Uint8Array = ownMemory,
): Promise<Heard> {
  const pipe = new Pipe()
  const log = new LogLines()
  const clock = new HandClock()
  const connection = new Connection(pipe as unknown as Socket, {
    source,
    clock,
    complaints: new Complaints(log, clock),
    deadlines: DEFAULT_DEADLINES,
    mta: null,
    spares: new SpareBuffers(),
    negotiator: new Negotiator(),
    closed() {},
    maxFrame: defaultMaxFrame,
  })
  for (const piece of pieces) {
    if (pipe.destroyed) break
    pipe.push(memory(piece))
    await new Promise(resolve => setImmediate(resolve))
  }
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
  connection.destroy()
  let letters = ''
  new FrameDecoder().push(Buffer.concat(pipe.written), (letter, payload) => {
    letters += String.fromCharCode(replyLetter(decodeReply(letter, payload).kind))
  })
  return {
    told: source.told,
    body: Buffer.concat(source.sessions.flatMap(({ bodies }) => bodies)).toString('latin1'),
    letters,
    codes: log.codes,
  }
}
