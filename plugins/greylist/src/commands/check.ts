/**
 * `milterhost greylist check`: what a client would be answered now, and why, step by step. Changes nothing.
 *
 * The engine itself decides, over a store that only looks. What only a connection tells (an SPF filter's result, a login, a
 * certificate, an early talker) is as if it were not there, but for what the options say.
 */
import type { CommandCall, PluginSubcommand } from 'milterhost/plugin'
import { Engine, type Ruling } from '../engine.ts'
import type { Seen } from '../store.ts'
import type { Transaction } from '../transaction.ts'
import { addressOf, clientByDns, type NamedClient } from './client.ts'
import { userError } from './error.ts'
import { COMMON, JSON_FLAG, type Opened, withGreylist } from './open.ts'
import { PreviewStore, previewGuard } from './preview.ts'
import { span, time } from './show.ts'

const SPF_RESULTS = ['pass', 'fail', 'softfail', 'neutral', 'none', 'permerror', 'temperror']

export const check: PluginSubcommand = {
  description: 'what a client would be answered now, and why; changes nothing',
  options: {
    ...COMMON,
    '--client <address>': 'of the client; its name is looked up',
    '--helo <name>': 'what it says in HELO',
    '--from <address>': 'the sender; empty for the null sender (default)',
    '--to <address>': 'the recipient; several with commas',
    '--spf <result>': `what an spf filter before it would find: ${SPF_RESULTS.join(', ')}`,
    ...JSON_FLAG,
  },
  examples: ['milterhost greylist check --client 192.0.2.1 --from a@example.org --to me@example.com'],
  run: call => withGreylist(call, opened => explain(call, opened)),
}

async function explain(call: CommandCall, opened: Opened): Promise<void> {
  const { options: given, dns, clock, print } = call
  const { options } = opened
  if (typeof given.client !== 'string') throw userError('--client is missing')
  if (typeof given.to !== 'string' || given.to === '') throw userError('--to is missing')
  if (given.spf !== undefined && !SPF_RESULTS.includes(String(given.spf)))
    throw userError(`--spf is one of ${SPF_RESULTS.join(', ')}`)
  const named = await clientByDns(dns, addressOf(given.client))
  const transaction = transactionOf(named, given, given.to)
  const preview = new PreviewStore(opened.store)
  const guard = previewGuard(call, opened, preview)
  try {
    const engine = new Engine({ options, guard, dns, now: () => clock.now() })
    const ruling = await engine.decide(transaction, { reasons: null }, new AbortController().signal)
    const at = options.at ?? (transaction.sender.address === '' ? 'data' : 'rcpt')
    const steps = stepsOf(named, transaction, ruling, preview.seen, opened)
    const { code, enhanced } = options.reply
    const answer =
      ruling.verdict === 'pass'
        ? 'passes'
        : ruling.rule === 'store-down'
          ? 'is put off with 451 4.3.0'
          : `is put off with ${code} ${enhanced} at ${at.toUpperCase()}`
    if (given.json === true) print(JSON.stringify({ verdict: ruling.verdict, rule: ruling.rule, at, steps }, null, 2))
    else
      for (const [step, said] of [...Object.entries(steps), ['answer', `${answer} (${ruling.rule})`]])
        print(`${step}\t${said}`)
  } finally {
    await guard.close()
  }
}

function transactionOf({ client, unverified }: NamedClient, given: CommandCall['options'], to: string): Transaction {
  const macros = new Map(unverified === null ? [] : [['client_ptr', unverified]])
  const from = parts(String(given.from ?? ''))
  return {
    client,
    helo: given.helo === undefined ? null : String(given.helo),
    auth: null,
    sender: from,
    recipients: to.split(',').map(address => parts(address.trim())),
    macro: name => macros.get(name),
    spf: given.spf === undefined ? null : { result: String(given.spf), domain: from.domain },
    early: false,
    waited: false,
  }
}

function parts(text: string): Transaction['sender'] {
  const address = text.replace(/^<(.*)>$/, '$1')
  const at = address.lastIndexOf('@')
  if (address !== '' && (at < 1 || at === address.length - 1))
    throw userError(`${JSON.stringify(text)} is no mail address`)
  return { address, local: address.slice(0, Math.max(0, at)), domain: address.slice(at + 1).toLowerCase() }
}

/** In the order in which it is decided; steps that were not reached are not there. */
function stepsOf(
  { client, unverified }: NamedClient,
  { sender, recipients, helo }: Transaction,
  ruling: Ruling,
  seen: Seen | null,
  { options }: Opened,
): Readonly<Record<string, string>> {
  const { origin, question, decision, reasons, rule } = ruling
  const name = client.hostname ?? (unverified === null ? 'without a name' : `${unverified}, which does not lead back`)
  const reached = origin !== null || reasons.length > 0
  const steps: Record<string, string> = {
    client: `${client.address}, ${name}${helo === null ? '' : `, HELO ${helo}`}`,
    mail: `<${sender.address}> to ${recipients.map(({ address }) => `<${address}>`).join(' ')}`,
    bypass: origin === null ? rule : 'none',
  }
  if (!reached) return steps
  const mode = options.mode === 'all' ? 'nothing; mode is all' : 'nothing: it does not wait'
  steps.suspicion = reasons.length > 0 ? reasons.join(', ') : rule === 'trap' ? 'it writes to a trap' : mode
  if (origin === null) return steps
  steps.origin = `${origin.text} (${ORIGINS[origin.kind]})`
  if (seen !== null) steps.known = knownOf(seen, decision?.now ?? question?.now ?? 0)
  if (question !== null) steps.wait = `${span(question.policy.wait)}, within ${span(question.policy.window)}`
  if (decision !== null)
    steps.decision = `${STATES[decision.state]}${decision.wait > 0 ? `; ${span(decision.wait)} to go` : ''}`
  return steps
}

const ORIGINS: Readonly<Record<NonNullable<Ruling['origin']>['kind'], string>> = {
  domain: "the sender's domain, by SPF",
  name: "the domain of the client's name",
  network: 'its network',
  address: 'its address: no name, or that of an end user',
}

const STATES: Readonly<Record<NonNullable<Ruling['decision']>['state'], string>> = {
  pinned: 'the postmaster lets it pass',
  known: 'the origin is known',
  domain: 'this sender domain is known from there',
  passed: 'it has waited: it passes and is learned',
  new: 'never seen, or too long ago',
  early: 'seen before, too early',
  again: 'it came in time, but more retries are needed',
  trapped: 'the origin is trapped',
  overflow: 'the origin has too many attempts open',
  full: 'the store is full',
}

function knownOf({ pin, trap, origin, domain, pending, tuples }: Seen, now: number): string {
  const alive = <M extends { readonly expires: number }>(mark: M | null): mark is M =>
    mark !== null && mark.expires > now
  const parts = [
    ...(alive(pin) ? [`pinned until ${time(pin.expires)}`] : []),
    ...(alive(trap) ? [`trapped until ${time(trap.expires)}`] : []),
    ...(alive(origin) ? [`${origin.count} passes of the origin`] : []),
    ...(alive(domain) ? [`sender domain since ${time(domain.first)}`] : []),
    ...(alive(pending) ? [`${pending.count} attempts open`] : []),
    ...tuples.filter(alive).map(({ first }) => `attempt of ${time(first)}`),
  ]
  return parts.length === 0 ? 'nothing' : parts.join('; ')
}
