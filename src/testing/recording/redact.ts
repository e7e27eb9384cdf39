/**
 * Takes out of a recorded session what is nobody's business: whose mail it was, and what it said.
 *
 * The same change is made everywhere, in what the MTA said and in what filters answered, so that a filter which copies an address into
 * a header field says the same when the recording is played. Pure.
 */
import { type ByteString, decodeText, encodeText } from '../../host/bytes.ts'
import type { Client } from '../../host/events.ts'
import type { Verdict } from '../../host/verdict.ts'
import { mapped } from '../scenario/edit-form.ts'
import type { ScenarioEdit } from '../scenario/scenario.ts'
import type { Pseudonyms } from './pseudonyms.ts'
import type { FilterAnswer, RecordedCommand, RecordedField, RecordedSession } from './recorded.ts'

export interface Redaction {
  /** Addresses of mail and of clients, host names, display names and logins. */
  readonly addresses: boolean
  /** Bodies, subjects and names of files. */
  readonly content: boolean
}

export function redacted(session: RecordedSession, redaction: Redaction, pseudonyms: Pseudonyms): RecordedSession {
  if (!redaction.addresses && !redaction.content) return session
  const eraser = new Eraser(redaction, pseudonyms)
  const turns = session.turns.map(turn => ({
    at: turn.at,
    macros: new Map([...turn.macros].map(([stage, values]) => [stage, eraser.macros(values)])),
    command: eraser.command(turn.command),
    answer: turn.answer === null ? null : eraser.verdict(turn.answer),
    filters: turn.filters.map(answer => eraser.answer(answer)),
  }))
  return { ...session, turns }
}

/** Facts about this host, which say nothing of others. */
const OWN: ReadonlySet<string> = new Set(['j', 'v', 'i', 'b', 'daemon_name', 'daemon_addr', 'daemon_port', 'if_addr'])
const LOGINS: ReadonlySet<string> = new Set(['auth_authen', 'auth_author', 'mail_addr', 'rcpt_addr'])
const NAMED =
  /^(?:(?:resent-)?(?:from|to|cc|bcc|sender)|reply-to|return-path|delivered-to|x-original-to|errors-to|disposition-notification-to)$/i
const WORDS = /^(?:subject|comments|keywords|thread-topic|content-description|x-original-subject)$/i
const FILES = /^content-(?:type|disposition)$/i
/** What stands before an address in angle brackets, and comments. */
const PHRASE = /[^<>,;:@()]+(?=<)|\([^()]*\)/g
const FILE_NAME = /(\b(?:file)?name(?:\*\d*)?\*?\s*=\s*"?)([^";]*?)((?:\.[A-Za-z0-9]{1,8})?"?\s*(?:;|$))/gi

class Eraser {
  readonly #redaction: Redaction
  readonly #pseudonyms: Pseudonyms

  constructor(redaction: Redaction, pseudonyms: Pseudonyms) {
    this.#redaction = redaction
    this.#pseudonyms = pseudonyms
  }

  macros(values: ReadonlyMap<string, ByteString>): Map<string, ByteString> {
    if (!this.#redaction.addresses) return new Map(values)
    const { address, text } = this.#changes
    return new Map(
      [...values].map(([name, value]) => [
        name,
        OWN.has(name) ? value : LOGINS.has(name) ? address(value) : text(value),
      ]),
    )
  }

  command(command: RecordedCommand): RecordedCommand {
    const { addresses, content } = this.#redaction
    if (command.kind === 'message') {
      const { bytes, lines } = command.body
      return {
        ...command,
        fields: command.fields.map(field => this.#field(field)),
        body: content && bytes > 0 ? { bytes, lines, content: null } : command.body,
      }
    }
    if (!addresses) return command
    const { address, host, text } = this.#changes
    switch (command.kind) {
      case 'connect':
        return { ...command, client: this.#client(command.client) }
      case 'helo':
        return { ...command, name: host(command.name) }
      case 'mail':
      case 'rcpt':
        return { ...command, path: { raw: address(command.path.raw), args: command.path.args.map(text) } }
      default:
        return command
    }
  }

  verdict(verdict: Verdict): Verdict {
    if (!this.#redaction.addresses) return verdict
    const { text } = this.#changes
    if (verdict.kind === 'quarantine') return { ...verdict, reason: text(verdict.reason) }
    if (!('reply' in verdict) || verdict.reply === null) return verdict
    return { ...verdict, reply: { ...verdict.reply, lines: verdict.reply.lines.map(text) } }
  }

  answer({ filter, verdict, edits }: FilterAnswer): FilterAnswer {
    return {
      filter,
      verdict: verdict === null ? null : this.verdict(verdict),
      edits: edits.map(edit => this.#edit(edit)),
    }
  }

  #edit(edit: ScenarioEdit): ScenarioEdit {
    if (edit.kind === 'replaceBody') return edit
    if ('name' in edit && 'value' in edit)
      return { ...edit, value: decodeText(this.#field({ name: edit.name, value: encodeText(edit.value) }).value) }
    if (!this.#redaction.addresses) return edit
    if ('address' in edit) return { ...edit, address: this.#pseudonyms.address(edit.address) }
    return mapped(edit, value => this.#pseudonyms.text(value))
  }

  #client(client: Client): Client {
    const { ip, host } = this.#changes
    const { family, address, hostname } = client
    if (family !== 'inet' && family !== 'inet6') return client
    const other = ip(address)
    return { ...client, address: other, hostname: hostname === `[${address}]` ? `[${other}]` : host(hostname) }
  }

  #field({ name, value }: RecordedField): RecordedField {
    const { addresses, content } = this.#redaction
    let text = decodeText(value)
    if (content && WORDS.test(name)) text = this.#pseudonyms.shape(text, text)
    if (content && FILES.test(name))
      text = text.replace(FILE_NAME, (_, before: string, stem: string, after: string) =>
        [before, this.#pseudonyms.shape(stem, stem), after].join(''),
      )
    if (addresses && NAMED.test(name)) text = text.replace(PHRASE, phrase => this.#pseudonyms.shape(phrase, phrase))
    if (addresses) text = this.#pseudonyms.text(text)
    return { name, value: encodeText(text) }
  }

  get #changes(): Readonly<Record<'address' | 'host' | 'ip' | 'text', (bytes: ByteString) => ByteString>> {
    const pseudonyms = this.#pseudonyms
    const of =
      (change: (text: string) => string): ((bytes: ByteString) => ByteString) =>
      bytes =>
        encodeText(change(decodeText(bytes)))
    return {
      address: of(text => pseudonyms.address(text)),
      host: of(text => pseudonyms.host(text)),
      ip: of(text => pseudonyms.ip(text)),
      text: of(text => pseudonyms.text(text)),
    }
  }
}
