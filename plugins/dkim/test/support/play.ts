/** The plugin in a host: signs for a local client, verifies for a foreign one. */
import { type FakeZone, fakeClock, fakeDns, testPlugin } from 'milterhost/testing'
import dkim, { type DkimOptions } from '../../src/index.ts'
import { ED25519, folder, RSA } from './keys.ts'

export type Delivered = Awaited<ReturnType<Awaited<ReturnType<typeof testPlugin>>['deliver']>>

/** A Tuesday. */
export const NOW: number = Date.parse('2026-11-24T08:00:00Z')

export const ZONE: FakeZone = {
  'rsa._domainkey.example.org': { txt: [RSA.record] },
  'ed._domainkey.example.org': { txt: [ED25519.record] },
  '_dmarc.example.org': { txt: ['v=DMARC1; p=reject'] },
}

export const MESSAGE =
  'From: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: hello\r\nDate: Tue, 24 Nov 2026 07:59:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nText \r\n\r\n'

/** Messages are texts with one character a byte. */
const bytes = (message: string): Buffer => Buffer.from(message, 'latin1')

export interface Signing {
  readonly sign?: DkimOptions['sign']
  readonly keys?: readonly ('rsa' | 'ed')[]
  readonly now?: number
}

/** The message with the signatures of example.org on top. */
export async function sign(
  message: string,
  { sign: options = {}, keys = ['rsa'], now = NOW }: Signing = {},
): Promise<string> {
  const path = folder({ rsa: RSA.pem, ed: ED25519.pem })
  const list = keys.map(selector => ({ domain: 'example.org', selector, file: `${path}/${selector}` }))
  await using host = await testPlugin(dkim({ sign: { keys: list, ...options } }), { clock: fakeClock(now) })
  const { edits, outcome, trace } = await host.deliver({ client: { address: '127.0.0.1' }, message: bytes(message) })
  if (outcome !== 'accept') throw new Error(JSON.stringify(trace))
  const added = edits.flatMap(edit => (edit.kind === 'insertHeader' ? [`${edit.name}:${edit.value}\r\n`] : []))
  return added.toReversed().join('').replaceAll(/\r?\n/g, '\r\n') + message
}

export interface Verifying {
  readonly options?: DkimOptions
  readonly zone?: FakeZone
  readonly now?: number
  readonly from?: string
}

export async function verify(message: string, given: Verifying = {}): Promise<Delivered> {
  const { options = {}, zone = ZONE, now = NOW, from = 'ann@example.org' } = given
  await using host = await testPlugin(dkim(options), { clock: fakeClock(now), dns: fakeDns(zone) })
  return host.deliver({ from, message: bytes(message) })
}

/** The results of one method, as written. */
export function results({ message }: Delivered, method: string): string[] {
  const [, ...list] = (message?.header('Authentication-Results') ?? '').replaceAll(/\s+/g, ' ').split('; ')
  return list.map(result => result.trim()).filter(result => result.startsWith(`${method}=`))
}
