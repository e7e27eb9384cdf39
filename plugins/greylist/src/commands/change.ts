/**
 * `milterhost greylist pass`, `forget` and `trap`: what a postmaster says of an origin, in the store of the running daemon.
 */
import { type CommandCall, type PluginSubcommand, parseDuration } from 'milterhost/plugin'
import { userError } from './error.ts'
import { COMMON, type Opened, withGreylist } from './open.ts'
import { type NamedOrigin, originsOf } from './origins.ts'
import { time } from './show.ts'

const TEN_YEARS = 3_650 * 86_400_000

/** Does something to each origin of each operand. */
function each(
  all: boolean,
  change: (opened: Opened, origin: NamedOrigin, call: CommandCall) => Promise<string>,
): PluginSubcommand['run'] {
  return call =>
    withGreylist(call, async opened => {
      const named = await Promise.all(call.operands.map(given => originsOf(call, opened, given, all)))
      for (const origin of named.flat()) call.print(`${origin.text}: ${await change(opened, origin, call)}`)
    })
}

export const pass: PluginSubcommand = {
  description: 'let all mail of an origin pass, whatever else is known of it',
  operands: '<origin...>',
  options: { ...COMMON, '--for <time>': 'how long (default: the option life, 36d)' },
  examples: ['milterhost greylist pass example.org --for 90d', 'milterhost greylist pass 192.0.2.0/24'],
  run: each(false, async ({ options, store }, { key }, { clock, options: given }) => {
    const until = clock.now() + duration(given.for, options.life)
    await store.pass(key, clock.now(), until)
    return `passes until ${time(until)}`
  }),
}

export const trap: PluginSubcommand = {
  description: 'put off all mail of an origin, and forget all good of it',
  operands: '<origin...>',
  options: { ...COMMON, '--for <time>': 'how long (default: the option traps.for, 24h)' },
  examples: ['milterhost greylist trap 192.0.2.1'],
  run: each(false, async ({ options, store }, { key }, { clock, options: given }) => {
    const until = clock.now() + duration(given.for, options.traps.for)
    await store.trap(key, clock.now(), until)
    return `trapped until ${time(until)}`
  }),
}

export const forget: PluginSubcommand = {
  description: 'forget what is known of an origin, good and bad',
  operands: '<origin...>',
  options: { ...COMMON },
  examples: ['milterhost greylist forget 192.0.2.1 example.org'],
  run: each(true, async ({ store }, { key }) => {
    const gone = await store.forget(key)
    return gone === 1 ? '1 mark forgotten' : `${gone} marks forgotten`
  }),
}

function duration(given: string | boolean | undefined, standard: number): number {
  if (given === undefined) return standard
  try {
    return parseDuration(String(given), TEN_YEARS)
  } catch (error) {
    throw userError(`--for: ${(error as Error).message}`)
  }
}
