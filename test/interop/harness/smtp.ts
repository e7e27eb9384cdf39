// An SMTP client for tests: sends exactly what it is told, returns every reply with its exact text, and can leave in all the ways
// clients leave. Text is latin1, one character a byte. No retries, no interpretation beyond the reply code.

import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { onCleanup } from './cleanup.ts'
import { PATIENCE, within } from './wait.ts'

export interface Reply {
  code: number
  /** Each line without the code and its separator. */
  lines: string[]
  /** Exactly as received, the final CRLF included. */
  text: string
}

/** The replies of one mail transaction; what was not reached is absent. */
export interface MailReplies {
  mail: Reply
  rcpt: Reply[]
  data?: Reply
  /** The reply to the final dot. */
  end?: Reply
  /** The one that decided: `end` if it came so far, else the last before it. */
  last: Reply
}

export interface MailOptions {
  /** Without angle brackets; parameters go after a space: 'a@example.com BODY=8BITMIME'. */
  from: string
  to: string | string[]
  /** Dot-stuffed and ended here; line ends go as they are. */
  data: string | Buffer
}

export interface SmtpClient {
  readonly greeting: Reply | undefined
  readonly localPort: number
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>
  /** One line; CRLF is added. */
  send(line: string): void
  write(bytes: string | Buffer): void
  /** The next whole reply. */
  read(seconds?: number): Promise<Reply>
  command(line: string): Promise<Reply>
  /** All lines in one segment, then a reply for each. */
  pipeline(...lines: string[]): Promise<Reply[]>
  /** EHLO if there was none yet, MAIL, RCPT.., and DATA if one recipient was accepted. Does not RSET. */
  mail(options: MailOptions): Promise<MailReplies>
  /** The content with its dots stuffed and the final dot; the reply to it. */
  content(data: string | Buffer): Promise<Reply>
  startTls(): Promise<Reply>
  quit(): Promise<Reply>
  /** Sends FIN and goes on reading. */
  halfClose(): void
  /** Closes: the peer sees FIN. */
  abortFin(): void
  /** The peer sees RST. */
  abortRst(): void
}

export interface SmtpOptions {
  host?: string
  /** Any of 127.0.0.0/8, to be another client to the MTA. */
  localAddress?: string
  /** False: do not wait for the banner. */
  greeting?: boolean
}

export async function smtp(port: number, options: SmtpOptions = {}): Promise<SmtpClient> {
  const { host = '127.0.0.1', localAddress } = options
  const socket = net.connect({
    host,
    port,
    ...(localAddress === undefined ? {} : { localAddress }),
  })
  await within(PATIENCE, `SMTP connection to ${host}:${port}`, once(socket, 'connect'))
  socket.setNoDelay(true)
  const client = new Client(socket)
  if (options.greeting !== false) client.greeting = await client.read()
  return client
}

class Client implements SmtpClient {
  greeting: Reply | undefined
  readonly localPort: number
  readonly closed: Promise<void>
  readonly #raw: net.Socket
  #stream: net.Socket
  #buffer = ''
  #ended: Error | undefined
  #greeted = false
  #wake = (): void => {}

  constructor(socket: net.Socket) {
    this.#raw = socket
    this.#stream = socket
    this.localPort = socket.localPort ?? 0
    this.closed = new Promise(resolve => socket.once('close', () => resolve()))
    const forget = onCleanup(() => {
      socket.destroy()
    })
    socket.once('close', () => void forget())
    socket.on('error', error => this.#end(error))
    socket.once('close', () => this.#end(new Error('closed')))
    this.#listen(socket)
  }

  send(line: string): void {
    this.write(`${line}\r\n`)
  }

  write(bytes: string | Buffer): void {
    if (typeof bytes === 'string' && /^(EHLO|HELO) /im.test(bytes)) this.#greeted = true
    this.#stream.write(bytes, 'latin1')
  }

  async read(seconds = PATIENCE): Promise<Reply> {
    await within(seconds, () => `an SMTP reply (so far ${JSON.stringify(this.#buffer)})`, this.#whole())
    const text = WHOLE.exec(this.#buffer)?.[0] ?? ''
    this.#buffer = this.#buffer.slice(text.length)
    const lines = text.split('\r\n').slice(0, -1)
    return { code: Number(text.slice(0, 3)), lines: lines.map(line => line.slice(4)), text }
  }

  command(line: string): Promise<Reply> {
    this.send(line)
    return this.read()
  }

  async pipeline(...lines: string[]): Promise<Reply[]> {
    this.write(lines.map(line => `${line}\r\n`).join(''))
    const replies: Reply[] = []
    for (const _ of lines) replies.push(await this.read())
    return replies
  }

  async mail(options: MailOptions): Promise<MailReplies> {
    if (!this.#greeted) await this.command('EHLO client.example')
    const mail = await this.command(`MAIL FROM:${bracket(options.from)}`)
    const replies: MailReplies = { mail, rcpt: [], last: mail }
    if (mail.code >= 300) return replies
    for (const to of [options.to].flat()) {
      replies.last = await this.command(`RCPT TO:${bracket(to)}`)
      replies.rcpt.push(replies.last)
      if (replies.last.code === 421) return replies
    }
    if (!replies.rcpt.some(reply => reply.code < 300)) return replies
    replies.last = replies.data = await this.command('DATA')
    if (replies.data.code === 354) replies.last = replies.end = await this.content(options.data)
    return replies
  }

  content(data: string | Buffer): Promise<Reply> {
    const text = (typeof data === 'string' ? data : data.toString('latin1')).replace(/^\./gm, '..')
    this.write(`${text}${text === '' || text.endsWith('\r\n') ? '' : '\r\n'}.\r\n`)
    return this.read(2 * PATIENCE)
  }

  async startTls(): Promise<Reply> {
    const reply = await this.command('STARTTLS')
    if (reply.code !== 220) return reply
    this.#raw.removeAllListeners('data').removeAllListeners('end')
    const secure = tls.connect({ socket: this.#raw, rejectUnauthorized: false })
    secure.on('error', error => this.#end(error))
    await within(PATIENCE, 'the TLS handshake', once(secure, 'secureConnect'))
    this.#stream = secure
    this.#greeted = false
    this.#listen(secure)
    return reply
  }

  async quit(): Promise<Reply> {
    const reply = await this.command('QUIT')
    this.#raw.destroy()
    return reply
  }

  halfClose(): void {
    this.#stream.end()
  }

  abortFin(): void {
    this.#raw.destroy()
  }

  abortRst(): void {
    this.#raw.resetAndDestroy()
  }

  #listen(stream: net.Socket): void {
    stream.on('data', chunk => {
      this.#buffer += chunk.toString('latin1')
      this.#wake()
    })
    stream.on('end', () => this.#end(new Error('closed by the server')))
  }

  #end(error: Error): void {
    this.#ended ??= error
    this.#wake()
  }

  async #whole(): Promise<void> {
    while (!WHOLE.test(this.#buffer)) {
      if (this.#ended) throw new Error(`no SMTP reply: ${this.#ended.message}, after ${JSON.stringify(this.#buffer)}`)
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}

const WHOLE = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\r\n/

function bracket(argument: string): string {
  const [address = '', ...parameters] = argument.split(' ')
  return [address.startsWith('<') ? address : `<${address}>`, ...parameters].join(' ')
}
