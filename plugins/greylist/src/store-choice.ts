/**
 * Which store the option `store` means, and where the embedded one lies by default. Opens it.
 *
 * The plugin's setup calls it, and so does the command, which has to find the same marks.
 */
import { stateFilePath } from 'milterhost/plugin'
import { EmbeddedStore } from './embedded.ts'
import type { Options } from './read-options.ts'
import { RedisStore } from './redis.ts'
import type { Problem, Store } from './store.ts'
import type { LocalStore } from './store-guard.ts'

export interface StoreSurroundings {
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly problem: Problem
  /** Variables of the environment: `STATE_DIRECTORY` of systemd, `XDG_STATE_HOME`. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Opens the store. Throws with the reason when it cannot be opened; a Redis that is down is no reason. */
export function openStore({ store, limits }: Pick<Options, 'store' | 'limits'>, around: StoreSurroundings): Store {
  if (store.kind === 'redis') return new RedisStore({ target: store, problem: around.problem })
  return openEmbedded(store.path ?? stateFilePath('greylist.sqlite', around.environment), limits.entries, around)
}

/** The embedded store that answers while a shared one is down. */
export function openLocal(
  { localStore, limits }: Pick<Options, 'localStore' | 'limits'>,
  around: StoreSurroundings,
): LocalStore {
  const path = localStore?.path ?? stateFilePath('greylist-local.sqlite', around.environment)
  return openEmbedded(path, limits.entries, around)
}

function openEmbedded(path: string, capacity: number, { now, problem }: StoreSurroundings): EmbeddedStore {
  try {
    return new EmbeddedStore({ path, capacity, now, problem })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`store: cannot open ${path}: ${why}`)
  }
}
