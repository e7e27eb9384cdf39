/**
 * The greylist that a command is about: its options as the daemon reads them, its store, and the keys of it.
 *
 * The store is the daemon's own, used beside it: SQLite's log and Redis let several processes at it. No command makes a
 * store that is not there: one made by root would be out of the daemon's reach. Every sub-command begins here.
 */
import { existsSync } from 'node:fs'
import { type CommandCall, stateFilePath } from 'milterhost/plugin'
import { Keys } from '../keys.ts'
import { type Options, optionsSchema } from '../read-options.ts'
import type { Store } from '../store.ts'
import { openStore } from '../store-choice.ts'
import { userError } from './error.ts'

/** Flags that every sub-command has. */
export const COMMON = { '--filter <name>': 'which greylist, when the configuration has several' } as const
export const JSON_FLAG = { '--json': 'for a program to read' } as const

export interface Opened {
  readonly options: Options
  readonly store: Store
  readonly keys: Keys
}

/** Opens the store for as long as `work` takes. */
export async function withGreylist<T>(call: CommandCall, work: (opened: Opened) => Promise<T>): Promise<T> {
  const options = await optionsOf(call)
  const { store: target } = options
  const path = target.kind === 'embedded' ? (target.path ?? stateFilePath('greylist.sqlite', process.env)) : null
  if (path !== null && path !== ':memory:' && !existsSync(path))
    throw userError(`there is no greylist in ${path} yet: the daemon makes it when it starts`)
  const store = openStore(options, {
    now: () => call.clock.now(),
    problem: (fields, message) => call.complain(`${message}: ${JSON.stringify(fields)}`),
    environment: process.env,
  })
  try {
    const keys = new Keys(options.secret ?? (await store.secret()))
    return await work({ options, store, keys })
  } catch (error) {
    // What is wrong with a Redis or a file is the postmaster's to mend; a bug of ours keeps its stack.
    if (isOutage(error)) throw userError(`the greylist store failed: ${(error as Error).message}`)
    throw error
  } finally {
    await store.close()
  }
}

function isOutage(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return false
  return (error as { code?: unknown }).code !== 'GREYLIST_COMMAND'
}

async function optionsOf({ entries, options: { filter } }: CommandCall): Promise<Options> {
  const all = await entries()
  const chosen = filter === undefined ? all : all.filter(({ name }) => name === filter)
  const [entry] = chosen
  if (entry === undefined)
    throw userError(
      filter === undefined ? 'there is no greylist in the configuration' : `there is no greylist called ${filter}`,
    )
  if (chosen.length > 1) throw userError(`which one? --filter ${chosen.map(({ name }) => name).join(', --filter ')}`)
  const read = optionsSchema.safeParse(entry.options ?? {})
  if (read.success) return read.data
  throw userError(
    `${entry.name}: ${read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`,
  )
}

/** A number of an option, from `least` on. */
export function wholeNumber(given: string | boolean | undefined, name: string, standard: number, least = 1): number {
  if (given === undefined) return standard
  const number = Number(given)
  if (!Number.isSafeInteger(number) || number < least)
    throw userError(`--${name} must be a whole number from ${least} on`)
  return number
}
