/**
 * One SMTP connection from the client's side: a line out, a reply in.
 *
 * It judges nothing, sends nothing by itself, and does not pipeline. Rejects when the server closes or is silent for five
 * minutes, the longest that RFC 5321 §4.5.3.2 lets a server take for most commands. Used by `smtp-stage.ts` alone.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface SmtpAnswer {
  readonly code: number
  /** Each without code and separator. */
  readonly lines: readonly string[]
}

const REPLY = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\r?\n/
const SILENCE = 300_000

export class SmtpDialogue {
  readonly #socket: Socket
  #received = ''
  #over: Error | null = null
  #wake = (): void => {}

  static async open(host: string, port: number): Promise<SmtpDialogue> {
    const socket = connect({ host, port, noDelay: true })
    await once(socket, 'connect')
    return new SmtpDialogue(socket)
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    const end = (error: Error): void => {
      this.#over ??= error
      this.#wake()
    }
    socket.setTimeout(SILENCE, () => end(new Error(`the server was silent for ${SILENCE / 1_000} s`)))
    socket.on('error', end)
    socket.on('close', () => end(new Error('the server closed the connection')))
    socket.on('data', chunk => {
      this.#received += chunk.toString('latin1')
      this.#wake()
    })
  }

  /** CRLF is added; text is UTF-8. */
  say(line: string): Promise<SmtpAnswer> {
    this.#socket.write(`${line}\r\n`)
    return this.read()
  }

  /** The next whole reply. */
  async read(): Promise<SmtpAnswer> {
    for (;;) {
      const text = REPLY.exec(this.#received)?.[0]
      if (text !== undefined) {
        this.#received = this.#received.slice(text.length)
        const lines = text.split(/\r?\n/).slice(0, -1)
        return { code: Number(text.slice(0, 3)), lines: lines.map(line => line.slice(4)) }
      }
      if (this.#over !== null) throw this.#over
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
