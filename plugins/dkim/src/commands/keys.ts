/**
 * `milterhost dkim keygen | txt | check`: makes a key, says what DNS has to say, and looks whether it does.
 *
 * To rotate: `keygen` under a new selector, publish what it prints, `check` until DNS has it, then name the new key in the
 * configuration; the old record stays for as long as mail may be on its way.
 */
import { generateKeyPairSync } from 'node:crypto'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandCall, PluginSubcommand } from 'milterhost/plugin'
import { cleanDomain } from '../domain.ts'
import { optionsSchema } from '../options.ts'
import { KeyChooser, type KeyEntry } from '../sign/choose.ts'
import { checkSecret } from '../sign/files.ts'
import { type PrivateKey, parsePrivateKey, publicRecord } from '../sign/keys.ts'
import { userError } from './error.ts'

const SELECTOR = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/

export const keygen: PluginSubcommand = {
  description: 'make a private key that only you may read, and print its DNS record',
  operands: '<domain> <selector>',
  options: {
    '--type <rsa|ed25519>': 'kind of key (default: rsa)',
    '--bits <number>': 'of an RSA key, 2048 to 4096 (default: 2048)',
    '-o, --output <file>': 'where the key goes (default: SELECTOR.DOMAIN.pem here)',
  },
  examples: ['milterhost dkim keygen example.org k2026 --output /etc/milterhost/keys/k2026.pem'],
  run({ operands: [name = '', selector = ''], options, print, complain }) {
    const domain = cleanDomain(name)
    if (domain === null) throw userError(`"${name}" is not the name of a domain`)
    if (!SELECTOR.test(selector)) throw userError(`"${selector}" is not a selector: letters, digits and "-"`)
    const type = options.type ?? 'rsa'
    const bits = Number(options.bits ?? 2048)
    if (type !== 'rsa' && type !== 'ed25519') throw userError('--type is rsa or ed25519')
    if (!Number.isInteger(bits) || bits < 2048 || bits > 4096) throw userError('--bits is from 2048 to 4096')
    const { privateKey } =
      type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: bits }) : generateKeyPairSync('ed25519')
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    const path = String(options.output ?? join('.', `${selector}.${domain}.pem`))
    writeSecret(path, pem)
    complain(
      `The key is in ${path}. Publish this, and look with: milterhost dkim check --key ${path} ${domain} ${selector}`,
    )
    print(zoneLine(domain, selector, parsePrivateKey(pem)))
  },
}

/** Never over another file: it may be the key that signs now. */
function writeSecret(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, text)
  } finally {
    closeSync(file)
  }
}

/** A line for a zone file, in pieces that DNS can hold. */
function zoneLine(domain: string, selector: string, key: PrivateKey): string {
  const pieces = publicRecord(key).match(/.{1,200}/g) ?? []
  return `${selector}._domainkey.${domain}. IN TXT ( ${pieces.map(piece => `"${piece}"`).join('\n    ')} )`
}

/** What `keysOf` reads. */
const WHICH_KEYS: Pick<PluginSubcommand, 'operands' | 'options'> = {
  operands: '[domain] [selector]',
  options: { '-k, --key <file>': 'this key, instead of those in the configuration' },
}

export const txt: PluginSubcommand = {
  description: 'print the DNS records of the keys in the configuration, or of one key',
  ...WHICH_KEYS,
  examples: ['milterhost dkim txt', 'milterhost dkim txt --key k2026.pem example.org k2026'],
  async run(call) {
    for (const { domain, selector, read } of await keysOf(call)) call.print(zoneLine(domain, selector, read()))
  },
}

export const check: PluginSubcommand = {
  description: 'look whether DNS has the records of the keys in the configuration, or of one key',
  ...WHICH_KEYS,
  examples: ['milterhost dkim check', 'milterhost dkim check --key k2026.pem example.org k2026'],
  async run(call) {
    let wrong = 0
    for (const { domain, selector, read } of await keysOf(call)) {
      const name = `${selector}._domainkey.${domain}`
      const fault = await recordFault(call, name, read())
      if (fault !== null) wrong++
      call.print(`${name}: ${fault ?? 'ok'}`)
    }
    return wrong === 0 ? 0 : 1
  },
}

async function recordFault({ dns }: CommandCall, name: string, key: PrivateKey): Promise<string | null> {
  let records: readonly string[]
  try {
    records = await dns.txt(name)
  } catch (error) {
    const { code } = error as { readonly code?: string }
    return code === 'ENOTFOUND' || code === 'ENODATA'
      ? 'there is no such record'
      : `DNS does not answer (${code ?? error})`
  }
  if (records.length > 1) return `there are ${records.length} records, verifiers may take any or none`
  const tags = tagsOf(records[0] ?? '')
  const wanted = tagsOf(publicRecord(key))
  if (tags.get('p') === '') return 'the key is revoked'
  if ((tags.get('k') ?? 'rsa') !== wanted.get('k'))
    return `the record is of a key of the type ${tags.get('k') ?? 'rsa'}`
  if (tags.get('p') !== wanted.get('p')) return 'the record is of another key'
  const hashes = tags.get('h')
  if (hashes !== undefined && !hashes.split(':').includes('sha256')) return 'the record does not allow sha256'
  return (tags.get('t') ?? '').split(':').includes('y') ? 'ok, but t=y says that the domain is testing' : null
}

const tagsOf = (record: string): ReadonlyMap<string, string> =>
  new Map(
    record.split(';').flatMap(part => {
      const [, name, value] = /^\s*(\w+)\s*=([\s\S]*)$/.exec(part) ?? []
      return name === undefined ? [] : [[name, (value ?? '').replaceAll(/\s/g, '')] as const]
    }),
  )

async function keysOf({
  operands,
  options,
  entries,
  clock,
  complain,
}: CommandCall): Promise<readonly Omit<KeyEntry, 'name'>[]> {
  const [domain, selector] = operands
  if (typeof options.key === 'string') {
    const file = options.key
    if (domain === undefined || selector === undefined) throw userError('--key needs the domain and the selector')
    checkSecret(file)
    return [{ domain, selector, read: () => parsePrivateKey(readFileSync(file, 'latin1')) }]
  }
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (fields: object) => complain(JSON.stringify(fields)),
    child: () => log,
  }
  const found: KeyEntry[] = []
  for (const { options: written } of await entries()) {
    const read = await optionsSchema['~standard'].validate(written ?? {})
    if (read.issues !== undefined) throw userError(read.issues.map(({ message }) => message).join('; '))
    found.push(...new KeyChooser(read.value.sign, { log, now: () => clock.now() }).entries())
  }
  const wanted = found.filter(
    entry =>
      (domain === undefined || entry.domain === domain) && (selector === undefined || entry.selector === selector),
  )
  if (wanted.length === 0) throw userError('the configuration has no such key')
  return wanted
}
