/**
 * Stand-ins for the filters of a configuration: the conditions are the real ones, the filters only write down what they are told.
 *
 * So the real chain says who takes part, and nobody is contacted but the look-ups that conditions name. A stand-in may be given a
 * verdict or results that the filter would have, for conditions of those after it.
 */
import { closeFilters, type Surroundings } from '../daemon/generation.ts'
import { decodeText } from '../host/bytes.ts'
import type { ChainFilter } from '../host/chain/member.ts'
import type { EntryPolicy } from '../host/config/entry.ts'
import type { Configuration } from '../host/config/validate.ts'
import type { Filter, FilterSession } from '../host/filter.ts'
import { Gates } from '../host/policy/gates.ts'
import { resultKey } from '../host/results.ts'
import { CONTINUE, DISCARD, REJECT, TEMPFAIL, type Verdict } from '../host/verdict.ts'

/** What a filter is assumed to find. */
export interface Assumed {
  /** By filter: its verdict on each recipient. */
  readonly verdicts: ReadonlyMap<string, 'reject' | 'tempfail' | 'discard' | 'quarantine'>
  /** By key: results published at mail. */
  readonly results: ReadonlyMap<string, unknown>
}

/** Which recipients a filter was told of, and at which stage it joined. */
export interface Heard {
  readonly recipients: Set<string>
  joined: boolean
}

const VERDICTS: Readonly<Record<string, Verdict>> = {
  reject: REJECT,
  tempfail: TEMPFAIL,
  discard: DISCARD,
  quarantine: { kind: 'quarantine', reason: 'assumed' },
}

const NO_RESULTS: ReadonlyMap<string, unknown> = new Map()
const NOBODY: EntryPolicy = {
  name: '',
  onFailure: 'accept',
  mode: 'observe',
  timeouts: { connect: 1, command: 1_000, end: 1_000 },
  enabled: true,
}

/** Writes into `heard`, by filter. An assumed verdict is one of a filter in observe mode: it ends nothing. */
export async function standIns(
  { entries, policy: central }: Configuration,
  around: Surroundings,
  assumed: Assumed,
  heard: Map<string, Heard>,
): Promise<ChainFilter[]> {
  const gates = new Gates(around, central ?? null)
  const filters: ChainFilter[] = []
  if (assumed.results.size > 0) {
    const policy = { ...NOBODY, name: '(assumed results)' }
    filters.push({
      policy,
      filter: standIn(policy.name, CONTINUE, assumed.results, { recipients: new Set(), joined: false }),
    })
  }
  for (const { policy } of entries) {
    if (!policy.enabled) continue
    const note: Heard = { recipients: new Set(), joined: false }
    heard.set(policy.name, note)
    const says = VERDICTS[assumed.verdicts.get(policy.name) ?? ''] ?? CONTINUE
    const filter = standIn(policy.name, says, NO_RESULTS, note)
    try {
      const mode = says === CONTINUE ? policy.mode : 'observe'
      filters.push({ policy: { ...policy, mode }, gate: await gates.gateOf(policy), filter })
    } catch (error) {
      await closeFilters(filters, around)
      await gates.close()
      throw error
    }
  }
  return filters
}

function standIn(name: string, says: Verdict, results: ReadonlyMap<string, unknown>, heard: Heard): Filter {
  return {
    name,
    kind: 'plugin',
    headerRules: 'sendmail',
    needs: () => null,
    open({ results: store }): FilterSession {
      const joins = (): Verdict => {
        heard.joined = true
        return CONTINUE
      }
      return {
        connect: joins,
        helo: joins,
        mail: () => {
          for (const [key, value] of results) store.publish(resultKey(key), value)
          return joins()
        },
        rcpt({ recipient }) {
          heard.recipients.add(decodeText(recipient.raw))
          joins()
          return says
        },
        data: joins,
        message: () => ({ verdict: joins(), edits: [] }),
        unknown: joins,
        abort() {},
        close() {},
      }
    },
    probe: async () => ({ events: [], mayEdit: [], facts: new Map() }),
    close: async () => {},
  }
}
