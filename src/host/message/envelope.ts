/**
 * The envelope under a filter's edits.
 *
 * Two addresses are one recipient when their local parts are equal to the byte and their domains are equal without
 * case; brackets do not matter. Adding one that is there already changes nothing, removing takes all that are equal.
 * Order never decides anything. Used by `apply.ts` and `batch.ts`.
 */
import type { ByteString } from '../bytes.ts'
import type { Path } from '../events.ts'
import type { MtaKind } from '../mta.ts'
import type { Edit, HeaderRules } from './edit.ts'

/** In angle brackets, as the protocol and `Path` have it; nothing at all is the null sender. */
export const bracketed = (address: ByteString): ByteString =>
  address.startsWith('<') && address.endsWith('>') ? address : `<${address}>`

/** What is equal for addresses that are one recipient. */
export function addressKey(address: ByteString): string {
  const bare = bracketed(address).slice(1, -1)
  const at = bare.lastIndexOf('@')
  return at === -1 ? bare : bare.slice(0, at) + bare.slice(at).toLowerCase()
}

const parameters = (args: ByteString): ByteString[] => args.split(' ').filter(arg => arg !== '')

const keyword = (parameter: ByteString): string => parameter.replace(/=.*/s, '').toUpperCase()

/**
 * Without parameters of its own the new sender keeps those of the old one, as on both MTAs. With some, Sendmail forgets the old
 * ones and Postfix changes those that are named.
 */
export function changeSender(sender: Path, address: ByteString, args: ByteString, rules: HeaderRules): Path {
  const named = parameters(args)
  const keywords = new Set(named.map(keyword))
  const kept =
    named.length === 0 || rules === 'postfix' ? sender.args.filter(parameter => !keywords.has(keyword(parameter))) : []
  return { raw: bracketed(address), args: [...kept, ...named] }
}

/** Recipients that are being edited. */
export class RecipientList {
  /** By key. Equal ones that the client gave twice stay together. */
  readonly #byKey = new Map<string, Path[]>()

  constructor(recipients: readonly Path[]) {
    for (const path of recipients) {
      const key = addressKey(path.raw)
      const same = this.#byKey.get(key)
      if (same) same.push(path)
      else this.#byKey.set(key, [path])
    }
  }

  add(address: ByteString, args: ByteString): void {
    const key = addressKey(address)
    if (!this.#byKey.has(key)) this.#byKey.set(key, [{ raw: bracketed(address), args: parameters(args) }])
  }

  remove(address: ByteString): void {
    this.#byKey.delete(addressKey(address))
  }

  finish(): readonly Path[] {
    return [...this.#byKey.values()].flat()
  }
}

/** The edits that turn one envelope into the other: sender, removals, additions. */
export function planEnvelope(
  before: { readonly sender: Path; readonly recipients: readonly Path[] },
  after: { readonly sender: Path; readonly recipients: readonly Path[] },
  mta: MtaKind,
): Edit[] {
  const edits: Edit[] = []
  const old = before.sender.args
  const args = after.sender.args
  const same = old.join(' ') === args.join(' ')
  if (before.sender.raw !== after.sender.raw || !same) {
    // Postfix keeps what is not named, and takes no parameter but RET and ENVID here.
    const told = same ? [] : mta === 'postfix' ? args.filter(parameter => !old.includes(parameter)) : args
    edits.push({ kind: 'changeSender', address: after.sender.raw, args: told.join(' ') })
  }
  if (before.recipients === after.recipients) return edits
  const named = parametersByKey(before.recipients)
  const wanted = parametersByKey(after.recipients)
  // Removed by one filter and added again by a later one is no change, unless its parameters are others now. A
  // removal takes all that are equal: of a recipient that the client named twice, none is left then.
  const isKept = ({ raw }: Path): boolean => {
    const key = addressKey(raw)
    return wanted.get(key) === named.get(key)
  }
  const gone = new Set(before.recipients.filter(path => !isKept(path)).map(path => path.raw))
  for (const address of gone) edits.push({ kind: 'removeRecipient', address })
  for (const path of after.recipients)
    if (!isKept(path)) edits.push({ kind: 'addRecipient', address: path.raw, args: path.args.join(' ') })
  return edits
}

/** The parameters of each recipient by key; of one named several times all of them, whatever their order. */
function parametersByKey(recipients: readonly Path[]): Map<string, string> {
  const byKey = new Map<string, Set<string>>()
  for (const { raw, args } of recipients) {
    const key = addressKey(raw)
    byKey.set(key, (byKey.get(key) ?? new Set()).add(args.join(' ')))
  }
  return new Map([...byKey].map(([key, given]) => [key, [...given].sort().join('\n')]))
}
