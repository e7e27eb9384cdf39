// The MTA's side of a milter connection, driven packet by packet from a test: offers any version and any bits, sends what it is
// told, in order or not, and waits for answers with a deadline. For talking to a milter (ours or another) without an MTA.

import { once } from 'node:events'
import type net from 'node:net'
import { dial } from './address.ts'
import { onCleanup } from './cleanup.ts'
import { cstrings, frame, type Packet, Splitter, uint32 } from './frames.ts'
import { PATIENCE, sleep, within } from './wait.ts'

export interface MtaClientOptions {
  /** What is offered: 6, 0x1ff, 0x1fffff, as both MTAs do. */
  version?: number
  actions?: number
  protocol?: number
  /** Seconds to wait for an answer. */
  timeout?: number
}

export interface Agreement {
  version: number
  actions: number
  protocol: number
  /** Macro names asked for, by stage number. */
  macros: Record<number, string>
}

export type Macros = Record<string, string>

/** What came back for one message. */
export interface Conversation {
  /** Command letter and answer letter of each step that was answered; header and body steps too. */
  answers: [command: string, answer: string][]
  /** Packets at the end of the message before the verdict, PROGRESS left out. */
  edits: Packet[]
  verdict: Packet
}

const NOT_WANTED: Record<string, number> = { C: 1, H: 2, M: 4, R: 8, B: 0x10, L: 0x20, N: 0x40, U: 0x100, T: 0x200 }
// biome-ignore format: a table
const NO_REPLY: Record<string, number> = {
  C: 0x1000, H: 0x2000, M: 0x4000, R: 0x8000, T: 0x10000, U: 0x20000, N: 0x40000, B: 0x80000, L: 0x80,
}
const NEVER_ANSWERED = 'DAKQ'
const HDR_LEADSPC = 0x100000
const FINAL = 'acdrty4fs'

export class MtaClient {
  agreed: Agreement = { version: 6, actions: 0, protocol: 0, macros: {} }
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>
  readonly #socket: net.Socket
  readonly #options: Required<MtaClientOptions>
  readonly #splitter: Splitter = new Splitter()
  readonly #arrived: Packet[] = []
  #ended: Error | undefined
  #wake = (): void => {}

  constructor(socket: net.Socket, options: MtaClientOptions) {
    this.#socket = socket
    this.#options = { version: 6, actions: 0x1ff, protocol: 0x1fffff, timeout: PATIENCE, ...options }
    this.closed = new Promise(resolve => socket.once('close', () => resolve()))
    const end = (error: Error): void => {
      this.#ended ??= error
      this.#wake()
    }
    socket.on('data', chunk => {
      this.#arrived.push(...this.#splitter.feed(chunk))
      this.#wake()
    })
    socket.on('error', end)
    socket.once('close', () => end(new Error('the milter closed the connection')))
    const forget = onCleanup(() => {
      socket.destroy()
    })
    socket.once('close', () => void forget())
  }

  /** Any bytes. */
  sendRaw(bytes: Buffer | string): void {
    this.#socket.write(bytes, 'latin1')
  }

  /** Packets, joined into one write. Macros of the first go before it in the same write, as Postfix does it. */
  send(command: string, data: Buffer | string = '', macros?: Macros): void {
    const before = macros ? [frame('D', Buffer.concat([Buffer.from(command, 'latin1'), macroList(macros)]))] : []
    this.sendRaw(Buffer.concat([...before, frame(command, data)]))
  }

  /** The next packet. */
  async read(seconds: number = this.#options.timeout): Promise<Packet> {
    await within(seconds, 'a packet from the milter', this.#any())
    return this.#arrived.shift() as Packet
  }

  /** True if nothing arrives and nothing closes for so long. */
  async silent(seconds: number): Promise<boolean> {
    await sleep(seconds)
    return this.#arrived.length === 0 && this.#ended === undefined
  }

  async negotiate(): Promise<Agreement> {
    const { version, actions, protocol } = this.#options
    this.send('O', uint32(version, actions, protocol))
    const { command, data } = await this.read()
    if (command !== 'O' || data.length < 12)
      throw new Error(`the milter answers the offer with '${command}' ${data.toString('hex')}`)
    const macros: Record<number, string> = {}
    for (let at = 12; at + 4 < data.length; ) {
      const end = data.indexOf(0, at + 4)
      macros[data.readUInt32BE(at)] = data.toString('latin1', at + 4, end)
      at = end + 1
    }
    this.agreed = {
      version: data.readUInt32BE(0),
      actions: data.readUInt32BE(4),
      protocol: data.readUInt32BE(8),
      macros,
    }
    return this.agreed
  }

  /**
   * Sends a command as an MTA would that keeps to what was agreed, and returns the packets that answer it: the last is the
   * verdict. Empty if the milter did not want the command or agreed not to answer.
   */
  async step(command: string, data: Buffer | string = '', macros?: Macros): Promise<Packet[]> {
    const { version, protocol } = this.agreed
    if (protocol & (NOT_WANTED[command] ?? 0) || (command === 'T' && version < 4) || (command === 'U' && version < 3))
      return []
    this.send(command, data, macros)
    if (NEVER_ANSWERED.includes(command) || protocol & (NO_REPLY[command] ?? 0)) return []
    const answers: Packet[] = []
    for (;;) {
      const packet = await this.read()
      answers.push(packet)
      if (FINAL.includes(packet.command)) return answers
    }
  }

  connect(
    host = 'client.example',
    address = '198.51.100.7',
    port = 4321,
    macros: Macros = CONNECT_MACROS,
  ): Promise<Packet[]> {
    const family = address === '' ? 'U' : address.startsWith('/') ? 'L' : address.includes(':') ? '6' : '4'
    const rest = family === 'U' ? [] : [Buffer.of(port >> 8, port & 0xff), cstrings(address)]
    return this.step('C', Buffer.concat([cstrings(host), Buffer.from(family), ...rest]), macros)
  }

  helo(name = 'client.example', macros: Macros = {}): Promise<Packet[]> {
    return this.step('H', cstrings(name), macros)
  }

  /** Address in angle brackets, as on the wire. */
  mail(address: string, parameters: string[] = [], macros?: Macros): Promise<Packet[]> {
    const bare = address.replace(/^<|>$/g, '')
    return this.step('M', cstrings(address, ...parameters), macros ?? { '{mail_addr}': bare, '{mail_mailer}': 'smtp' })
  }

  rcpt(address: string, parameters: string[] = [], macros?: Macros): Promise<Packet[]> {
    const bare = address.replace(/^<|>$/g, '')
    return this.step('R', cstrings(address, ...parameters), macros ?? { i: '4XYZ12', '{rcpt_addr}': bare })
  }

  /**
   * A whole message: MAIL to the verdict. Ends at the first verdict that is not CONTINUE (of a recipient: that ends it).
   * Header values keep their leading space if that was agreed. Connect and HELO are the caller's.
   */
  async message(options: { from: string; to: string[]; raw: string | Buffer; macros?: Macros }): Promise<Conversation> {
    const macros = options.macros ?? { i: '4XYZ12' }
    const conversation: Conversation = { answers: [], edits: [], verdict: { command: 'c', data: Buffer.alloc(0) } }
    for (const [command, run] of this.#stages(options, macros)) {
      const packets = await run()
      const verdict = packets.at(-1)
      if (!verdict) continue
      conversation.answers.push([command, verdict.command])
      conversation.verdict = verdict
      if (command === 'E') conversation.edits = packets.slice(0, -1).filter(packet => packet.command !== 'p')
      if (verdict.command !== 'c' && !(verdict.command === 's' && command === 'B')) break
    }
    return conversation
  }

  abort(): void {
    this.send('A')
  }

  /** QUIT, and the connection closed. */
  async quit(): Promise<void> {
    this.send('Q')
    this.#socket.end()
    await within(this.#options.timeout, 'the milter closes after QUIT', this.closed)
  }

  abortFin(): void {
    this.#socket.destroy()
  }

  abortRst(): void {
    this.#socket.resetAndDestroy()
  }

  *#stages(
    options: { from: string; to: string[]; raw: string | Buffer },
    macros: Macros,
  ): Generator<[string, () => Promise<Packet[]>]> {
    const { headers, body } = split(options.raw)
    let skipped = false
    yield ['M', () => this.mail(options.from)]
    for (const to of options.to) yield ['R', () => this.rcpt(to)]
    yield ['T', () => this.step('T', '', macros)]
    for (const [name, value] of headers) {
      const sent = this.agreed.protocol & HDR_LEADSPC ? value : value.replace(/^ /, '')
      yield ['L', () => this.step('L', cstrings(name, sent))]
    }
    yield ['N', () => this.step('N')]
    for (let at = 0; at < body.length && !skipped; at += CHUNK) {
      yield [
        'B',
        async () => {
          const packets = await this.step('B', body.subarray(at, at + CHUNK))
          skipped = packets.at(-1)?.command === 's'
          return packets
        },
      ]
    }
    yield ['E', () => this.step('E', '', macros)]
  }

  async #any(): Promise<void> {
    while (this.#arrived.length === 0) {
      if (this.#ended) throw this.#ended
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}

const CHUNK = 65_535
const CONNECT_MACROS: Macros = {
  j: 'mx.rig.example',
  '{daemon_name}': 'mx',
  '{daemon_addr}': '127.0.0.1',
  v: 'rig',
  _: 'client.example [198.51.100.7]',
}

function macroList(macros: Macros): Buffer {
  return cstrings(...Object.entries(macros).flat())
}

/** Folded values with \n inside, and the body, as an MTA hands them to milters. */
function split(raw: string | Buffer): { headers: [name: string, value: string][]; body: Buffer } {
  const text = (typeof raw === 'string' ? raw : raw.toString('latin1')).replace(/\r\n/g, '\n')
  const end = text.indexOf('\n\n')
  const head = end < 0 ? text.replace(/\n$/, '') : text.slice(0, end)
  const headers = head.split(/\n(?![ \t])/).map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1)]
  })
  return { headers, body: Buffer.from(end < 0 ? '' : text.slice(end + 2).replace(/\n/g, '\r\n'), 'latin1') }
}

/** Connects; negotiation is the caller's next step. */
export async function mtaClient(address: string, options: MtaClientOptions = {}): Promise<MtaClient> {
  const socket = dial(address)
  const client = new MtaClient(socket, options)
  await within(options.timeout ?? PATIENCE, `a connection to ${address}`, once(socket, 'connect'))
  return client
}
