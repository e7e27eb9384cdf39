/**
 * A model of what libmilter does with the order of commands (measured on libmilter 8.17.1): which it answers in which state, and
 * that it drops all others without a word. Bytes in, bytes out; the answers are the test's. What libmilter would
 * never have answered is kept in `unanswered`, because an MTA that sends such a thing waits for ever.
 */
import { frame, Splitter, uint32 } from '../../interop/harness/frames.ts'

/** Commands allowed next, by the last one. */
const NEXT: Readonly<Record<string, string>> = {
  O: 'CU',
  C: 'HMU',
  H: 'HMU',
  M: 'RAU',
  R: 'RTLNBEAU',
  T: 'LNA',
  L: 'LNA',
  N: 'BEA',
  B: 'BEA',
  E: 'MU',
  U: 'HMRTBUA',
}

/** The order in which a stage that the milter wished away counts as passed. */
const SEQUENCE = 'OCHMRTLNBE'

// biome-ignore format: a table
const NOT_SENT: Readonly<Record<string, number>> = {
  C: 0x1, H: 0x2, M: 0x4, R: 0x8, B: 0x10, L: 0x20, N: 0x40, U: 0x100, T: 0x200,
}

// biome-ignore format: a table
const NOT_ANSWERED: Readonly<Record<string, number>> = {
  L: 0x80, C: 0x1000, H: 0x2000, M: 0x4000, R: 0x8000, T: 0x10000, U: 0x20000, N: 0x40000, B: 0x80000,
}

export interface LibmilterOptions {
  readonly version: number
  readonly protocol: number
  /** The packets with which a command is answered; the last decides. */
  answer(command: string): Buffer
  /** Leaves what libmilter does not answer without a reply, as it does; else there is one, so that a test that fails ends. */
  readonly silent?: boolean
}

export class Libmilter {
  readonly unanswered: string[] = []
  letters = ''
  readonly #options: LibmilterOptions
  readonly #splitter = new Splitter()
  #state = 'O'
  /** Something of a message was told since the last E or A. */
  #inMessage = false

  constructor(options: LibmilterOptions) {
    this.#options = options
  }

  /** What it says to these bytes. */
  hear(bytes: Buffer): Buffer {
    return Buffer.concat(this.#splitter.feed(bytes).map(packet => this.#command(packet.command, packet.data)))
  }

  #command(command: string, data: Buffer): Buffer {
    const nothing = Buffer.alloc(0)
    this.letters += command
    const { version, protocol } = this.#options
    if (command === 'O') {
      this.#state = 'O'
      return frame('O', uint32(Math.min(version, data.readUInt32BE(0)), 0x1ff, protocol))
    }
    if (command === 'D' || command === 'Q') return nothing
    if (command === 'A') {
      if (!this.#inMessage) this.unanswered.push(`needless A: ${this.letters}`)
      this.#inMessage = false
      this.#state = 'H'
      return nothing
    }
    // Outside a message it begins again as if after HELO: no CONNECT was sent, or HELO comes after a message.
    if (!this.#allows(command) && !this.#inMessage) this.#state = 'H'
    const unwanted = (protocol & (NOT_SENT[command] ?? 0)) !== 0
    const unknown = (version < 4 && command === 'T') || (version < 3 && command === 'U')
    if (unwanted || unknown || !this.#allows(command)) {
      this.unanswered.push(
        `${unwanted ? 'unwanted' : unknown ? 'unknown' : 'out of order'} ${command}: ${this.letters}`,
      )
      return this.#options.silent === true ? nothing : frame('c')
    }
    this.#state = command
    if ('MRTLNB'.includes(command)) this.#inMessage = true
    if (command === 'E') this.#inMessage = false
    if ((protocol & (NOT_ANSWERED[command] ?? 0)) !== 0) return nothing
    const answer = this.#options.answer(command)
    this.#heed(command, this.#lastLetter(answer))
    return answer
  }

  #allows(command: string): boolean {
    let state = this.#state
    for (;;) {
      if (NEXT[state]!.includes(command)) return true
      const next = SEQUENCE[SEQUENCE.indexOf(state) + 1]
      if (!SEQUENCE.includes(state) || next === undefined) return false
      if ((this.#options.protocol & (NOT_SENT[next] ?? 0)) === 0) return false
      state = next
    }
  }

  #heed(command: string, answer: string): void {
    if (!'rtda'.includes(answer)) return
    if ((command === 'R' || command === 'U') && answer !== 'a') return
    this.#state = 'H'
    if (command !== 'C' && command !== 'H' && command !== 'U') this.#inMessage = false
  }

  #lastLetter(packets: Buffer): string {
    return new Splitter().feed(packets).at(-1)?.command ?? 'c'
  }
}
