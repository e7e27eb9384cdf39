/**
 * The edits of one external milter on one message, gathered until its verdict.
 *
 * An edit counts only if its action was offered and asked for; both MTAs would carry out others too, but a milter that
 * lies about what it does is not one to let rewrite mail. What is dropped is told to the host. The pieces
 * of a replacement body make one body whatever stands between them (Postfix would cut it there). Nothing leaves before
 * `finish`, so a milter that dies half way has changed nothing.
 */
import type { ByteString } from '../../host/bytes.ts'
import { hostError } from '../../host/errors.ts'
import { normalizeLines } from '../../host/message/body.ts'
import type { Edit } from '../../host/message/edit.ts'
import type { BodyWriter } from '../../host/message/snapshot.ts'
import { headerFromWire, headerNameFault, headerValueFault, neededAction, quoted, type Reply } from '../wire/index.ts'
import type { Terms } from './terms.ts'

export interface CollectorOptions {
  readonly filter: string
  readonly terms: Terms
  /** Most edits of one message. */
  readonly limit: number
  newBody(): BodyWriter
  refused(detail: string): void
}

/** Reports of one message; a milter gone mad must not flood the log. */
const MOST_REPORTS = 20
const PLACE_OF_BODY = null

export class EditCollector {
  readonly #options: CollectorOptions
  readonly #edits: (Edit | typeof PLACE_OF_BODY)[] = []
  readonly #unpermitted = new Set<string>()
  #body: BodyWriter | null = null
  #count = 0
  #reports = 0

  constructor(options: CollectorOptions) {
    this.#options = options
  }

  /** Takes an edit. A promise when a replacement body must be written out first. */
  take(reply: Reply): void | Promise<void> {
    const { terms, filter, limit } = this.#options
    if (reply.kind === 'replace-body' && this.#body !== null) return this.#body.write(reply.chunk)
    if (++this.#count > limit) throw hostError('LIMIT_EDITS', filter, limit)
    if (!terms.permits(neededAction(reply.kind))) {
      if (!this.#unpermitted.has(reply.kind)) this.#refuse(`${reply.kind} was not negotiated`)
      this.#unpermitted.add(reply.kind)
      return
    }
    if (reply.kind === 'replace-body') {
      this.#body = normalizeLines(this.#options.newBody())
      this.#edits.push(PLACE_OF_BODY)
      return this.#body.write(reply.chunk)
    }
    const edit = this.#edit(reply)
    if (typeof edit === 'string') this.#refuse(edit)
    else this.#edits.push(edit)
  }

  /** The edits, in the milter's order. */
  async finish(): Promise<readonly Edit[]> {
    const writer = this.#body
    if (writer === null) return this.#edits as readonly Edit[]
    const body = await writer.finish()
    this.#body = null
    return this.#edits.map(edit => edit ?? { kind: 'replaceBody', body })
  }

  discard(): void {
    this.#body?.discard()
    this.#body = null
  }

  /** The edit, or why it is none. */
  #edit(reply: Reply): Edit | string {
    switch (reply.kind) {
      case 'add-header':
        return this.#header(reply.name, reply.value, value => ({ kind: 'addHeader', name: reply.name, value }))
      case 'insert-header':
        return this.#header(reply.name, reply.value, value => ({
          kind: 'insertHeader',
          index: reply.index,
          name: reply.name,
          value,
        }))
      case 'change-header': {
        const { name, index: occurrence } = reply
        if (reply.value === '') return headerFault(name, '') ?? { kind: 'removeHeader', occurrence, name }
        return this.#header(name, reply.value, value => ({ kind: 'changeHeader', occurrence, name, value }))
      }
      case 'add-recipient':
        return recipient(reply.path, address => ({ kind: 'addRecipient', address, args: '' }))
      case 'add-recipient-with-parameters':
        return recipient(
          reply.path,
          address => ({ kind: 'addRecipient', address, args: reply.parameters ?? '' }),
          reply.parameters,
        )
      case 'delete-recipient':
        return recipient(reply.path, address => ({ kind: 'removeRecipient', address }))
      case 'change-sender': {
        const address = bracketed(reply.path)
        const fault = pathFault(address, reply.parameters)
        return fault ?? { kind: 'changeSender', address, args: reply.parameters ?? '' }
      }
      case 'quarantine':
        return { kind: 'quarantine', reason: reply.reason.replace(/[\x00-\x1f\x7f]+/g, ' ') }
      default:
        return `${reply.kind} is no edit`
    }
  }

  #header(name: ByteString, value: ByteString, make: (value: ByteString) => Edit): Edit | string {
    // Some milters fold with CRLF. Both MTAs would pass the CR on into the message, where it tears the header apart.
    const folded = value.replaceAll(/\r\n(?=[ \t])/g, '\n')
    return headerFault(name, folded) ?? make(headerFromWire(folded, this.#options.terms.leadingSpace))
  }

  #refuse(detail: string): void {
    if (++this.#reports < MOST_REPORTS) this.#options.refused(detail)
    else if (this.#reports === MOST_REPORTS) this.#options.refused(`${detail}; more like it are not reported`)
  }
}

function headerFault(name: ByteString, value: ByteString): string | null {
  const fault = headerNameFault(name) ?? headerValueFault(value)
  return fault === null ? null : `header ${quoted(name)}: ${fault}`
}

function recipient(
  path: ByteString,
  make: (address: ByteString) => Edit,
  args: ByteString | null = null,
): Edit | string {
  const address = bracketed(path)
  if (address === '<>') return 'a recipient without an address'
  return pathFault(address, args) ?? make(address)
}

const bracketed = (path: ByteString): ByteString => (path.startsWith('<') && path.endsWith('>') ? path : `<${path}>`)

/** What would break out of the SMTP command that an MTA makes of it. */
function pathFault(address: ByteString, args: ByteString | null): string | null {
  if (/[\x00-\x1f\x7f]/.test(address)) return `address ${quoted(address)} holds a control character`
  if (args !== null && /[\x00-\x1f\x7f]/.test(args)) return `parameters ${quoted(args)} hold a control character`
  return null
}
