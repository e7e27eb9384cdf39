/**
 * `milterhost dmarc report`: writes aggregate reports (RFC 9990), one file a domain, from what the plugin has kept.
 *
 * Nothing is sent. For each file it says where the domain wants it, and only those places that have agreed to take it
 * (RFC 9990 §4): a report sent to whoever a record names would be a way to flood others.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { CommandCall, PluginSubcommand } from 'milterhost/plugin'
import { cleanDomain } from '../domain.ts'
import { type CountedRow, ReportStore } from '../reports/store.ts'
import { reportXml } from '../reports/xml.ts'
import { userError } from './error.ts'

const DAY = 86_400_000
const MOST_DESTINATIONS = 5

export const report: PluginSubcommand = {
  description: 'write aggregate reports of one day as XML, one file a domain; nothing is sent',
  operands: '[domain...]',
  options: {
    '--date <YYYY-MM-DD>': 'the day, in UTC (default: yesterday)',
    '--organization <name>': "who reports (default: this host's name)",
    '--email <address>': 'whom to ask about a report (default: postmaster at the organization)',
    '-o, --output <folder>': 'where the files go (default: here)',
    '--gzip': 'compress them',
  },
  examples: ['milterhost dmarc report --organization example.com --output /var/spool/dmarc --gzip'],
  async run(call) {
    const { operands, options, clock, print, complain } = call
    const organization = String(options.organization ?? hostname())
    const email = String(options.email ?? `postmaster@${organization}`)
    const receiver = cleanDomain(organization) ?? 'receiver'
    const begin = dayOf(options.date, clock.now())
    const folder = String(options.output ?? '.')
    mkdirSync(folder, { recursive: true })
    const stores = await storesOf(call)
    let written = 0
    try {
      const rowsOf = collected(stores, begin)
      const domains = operands.length === 0 ? [...rowsOf.keys()] : operands.map(name => cleanDomain(name) ?? name)
      for (const domain of domains) {
        const rows = rowsOf.get(domain)
        if (rows === undefined) {
          complain(`${domain}: nothing was seen on that day`)
          continue
        }
        const [from, end] = [begin / 1000, (begin + DAY) / 1000 - 1]
        const id = `${from}.${domain}@${receiver}`
        const xml = reportXml({ organization, email, id, begin: from, end }, rows)
        const path = join(folder, `${receiver}!${domain}!${from}!${end}.xml${options.gzip === true ? '.gz' : ''}`)
        writeFileSync(path, options.gzip === true ? gzipSync(xml) : xml)
        written++
        const messages = rows.reduce((sum, { count }) => sum + count, 0)
        const to = await destinations(call, domain, rows)
        print(`${path}\t${messages} message${messages === 1 ? '' : 's'}\t${to.join(' ') || 'wants no reports'}`)
      }
    } finally {
      for (const store of stores) store.close()
    }
    if (written === 0) complain('no report was written')
    return written > 0 || operands.length === 0 ? 0 : 1
  },
}

function dayOf(given: string | boolean | undefined, now: number): number {
  if (given === undefined) return (Math.floor(now / DAY) - 1) * DAY
  const time = Date.parse(`${String(given)}T00:00:00Z`)
  if (!/^\d{4}-\d\d-\d\d$/.test(String(given)) || Number.isNaN(time)) throw userError('--date is YYYY-MM-DD')
  return time
}

async function storesOf({ entries, clock, complain }: CommandCall): Promise<readonly ReportStore[]> {
  const paths = (await entries()).flatMap(
    ({ options }) => (options as { reports?: { store?: string } } | undefined)?.reports?.store ?? [],
  )
  if (paths.length === 0)
    throw userError(
      "nothing is kept: give dkim() in the configuration the option reports: { store: '/var/lib/milterhost/dmarc.db' }",
    )
  return [...new Set(paths)].map(
    path => new ReportStore(path, { now: clock.now, problem: (_, message) => complain(`${path}: ${message}`) }),
  )
}

/** The rows of a day by domain, of all stores. */
function collected(stores: readonly ReportStore[], begin: number): ReadonlyMap<string, readonly CountedRow[]> {
  const byDomain = new Map<string, readonly CountedRow[]>()
  for (const store of stores)
    for (const domain of store.domains(begin, begin + DAY))
      byDomain.set(domain, [...(byDomain.get(domain) ?? []), ...store.rows(domain, begin, begin + DAY)])
  return byDomain
}

/** The addresses in `rua`; those of other domains only if they say in DNS that they take reports about this one. */
async function destinations(
  { dns }: CommandCall,
  domain: string,
  rows: readonly CountedRow[],
): Promise<readonly string[]> {
  const rua = /(?:^|;)\s*rua\s*=([^;]*)/i.exec(rows.at(-1)!.published.record)?.[1] ?? ''
  const wanted: string[] = []
  for (const uri of rua.split(',').slice(0, MOST_DESTINATIONS)) {
    const [, address, host] = /^mailto:([^\s!?@]+@([^\s!?@]+))/i.exec(uri.trim()) ?? []
    const place = cleanDomain(host)
    if (address === undefined || place === null) continue
    const own = place === domain || place.endsWith(`.${domain}`) || domain.endsWith(`.${place}`)
    if (own || (await agreed(dns, domain, place))) wanted.push(address)
  }
  return wanted
}

async function agreed(dns: CommandCall['dns'], domain: string, place: string): Promise<boolean> {
  try {
    return (await dns.txt(`${domain}._report._dmarc.${place}`)).some(record => /^v\s*=\s*DMARC1/.test(record))
  } catch {
    // No answer is no consent.
    return false
  }
}
