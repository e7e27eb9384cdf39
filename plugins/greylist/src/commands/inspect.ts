/**
 * `milterhost greylist stats` and `list`: what the store holds. Neither changes anything.
 */
import type { CommandCall, PluginSubcommand } from 'milterhost/plugin'
import { type Entry, KINDS, type Kind } from '../store.ts'
import { userError } from './error.ts'
import { COMMON, JSON_FLAG, type Opened, wholeNumber, withGreylist } from './open.ts'
import { originsOf } from './origins.ts'
import { base64, shown, span, time } from './show.ts'

export const stats: PluginSubcommand = {
  description: 'how much the store holds, and how it has answered',
  options: { ...COMMON, ...JSON_FLAG },
  run: call =>
    withGreylist(call, async ({ store }) => {
      const { entries, bytes, capacity, place, counters } = await store.stats()
      const sorted = [...counters].sort(([a], [b]) => (a < b ? -1 : 1))
      if (call.options.json === true) {
        const told = { store: store.name, place, entries, bytes, capacity, counters: Object.fromEntries(sorted) }
        call.print(JSON.stringify(told, null, 2))
        return
      }
      call.print(`store\t${store.name} ${place}`)
      for (const kind of KINDS) call.print(`${kind}\t${entries[kind]}`)
      if (capacity !== null) call.print(`most\t${capacity}`)
      if (bytes !== null) call.print(`bytes\t${bytes}`)
      for (const [name, value] of sorted) call.print(`${name}\t${value}`)
    }),
}

export const list: PluginSubcommand = {
  description: 'what is remembered, of one client or of all',
  options: {
    ...COMMON,
    '--state <kind>': `only these: ${KINDS.join(', ')}; several with commas`,
    '--client <origin>': 'only of this address, network, domain or origin',
    '--limit <number>': 'at most so many (default: 100; 0: all)',
    ...JSON_FLAG,
  },
  examples: ['milterhost greylist list --state origin,domain --limit 0', 'milterhost greylist list --client 192.0.2.1'],
  run: call => withGreylist(call, opened => listed(call, opened)),
}

async function listed(call: CommandCall, opened: Opened): Promise<void> {
  const { options, clock, print, complain } = call
  const kinds = kindsOf(options.state)
  const limit = wholeNumber(options.limit, 'limit', 100, 0)
  const names = new Map<string, string>()
  if (options.client !== undefined)
    for (const { text, key } of await originsOf(call, opened, String(options.client), true))
      names.set(base64(key), text)
  const now = clock.now()
  let shownSoFar = 0
  if (options.json !== true) print('kind\torigin\titem\tcount\tfirst\tlast\texpires in')
  for await (const entry of opened.store.entries(now)) {
    const origin = base64(entry.origin)
    if (!kinds.has(entry.kind) || (options.client !== undefined && !names.has(origin))) continue
    if (limit > 0 && shownSoFar === limit) {
      complain(`there are more; --limit 0 shows all`)
      break
    }
    shownSoFar++
    print(options.json === true ? JSON.stringify(shown(entry)) : row(entry, names.get(origin) ?? origin, now))
  }
}

const row = ({ kind, item, count, first, last, expires }: Entry, origin: string, now: number): string =>
  [kind, origin, item === null ? '-' : base64(item), count, time(first), time(last), span(expires - now)].join('\t')

function kindsOf(given: string | boolean | undefined): ReadonlySet<Kind> {
  if (given === undefined) return new Set(KINDS)
  const asked = String(given).split(',')
  const unknown = asked.find(name => !(KINDS as readonly string[]).includes(name))
  if (unknown !== undefined) throw userError(`--state ${unknown}: it is one of ${KINDS.join(', ')}`)
  return new Set(asked as Kind[])
}
