/**
 * What changed between two looks at a machine: milters that came, went, or are configured otherwise.
 *
 * Only milters in use count: one that is installed and not enabled changes nothing. Pure; used by the watcher for its log.
 */
import { type FoundMilter, inUse } from './detect.ts'

export interface Change {
  readonly kind: 'added' | 'removed' | 'changed'
  readonly milter: string
  /** What it was and is, by field; of one that came or went its address. */
  readonly fields: Readonly<Record<string, string>>
}

export function changes(before: readonly FoundMilter[], after: readonly FoundMilter[]): Change[] {
  const was = byName(before)
  const is = byName(after)
  const found: Change[] = []
  for (const [name, fields] of was) {
    if (!is.has(name)) found.push({ kind: 'removed', milter: name, fields: { address: fields.address! } })
  }
  for (const [name, fields] of is) {
    const old = was.get(name)
    if (old === undefined) {
      found.push({ kind: 'added', milter: name, fields: { address: fields.address! } })
      continue
    }
    const keys = [...new Set([...Object.keys(old), ...Object.keys(fields)])].filter(key => old[key] !== fields[key])
    if (keys.length > 0) {
      const differing = keys.map(key => [key, `${old[key] ?? 'none'} → ${fields[key] ?? 'none'}`] as const)
      found.push({ kind: 'changed', milter: name, fields: Object.fromEntries(differing) })
    }
  }
  return found
}

const byName = (milters: readonly FoundMilter[]): Map<string, Record<string, string>> =>
  new Map(milters.filter(inUse).map(milter => [milter.name, flat(milter)]))

/** What the entry is made of, and who runs the milter. */
function flat({
  address,
  user,
  group,
  launch,
  timeouts,
  rank,
  condition,
  onFailure,
}: FoundMilter): Record<string, string> {
  const fields: Record<string, string> = { address: address.value, onFailure, rank: String(rank) }
  if (user !== null) fields.user = user.value
  if (group !== null) fields.group = group.value
  if (condition !== null) fields.condition = condition
  if (launch !== null) fields.launch = Object.values(launch.value)[0] as string
  for (const [stage, { value }] of Object.entries(timeouts)) fields[`timeouts.${stage}`] = `${value}s`
  return fields
}
