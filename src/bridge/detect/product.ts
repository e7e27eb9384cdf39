/**
 * What is known of one milter product: how its services are called, where its socket is configured, and how it is best used.
 *
 * A product is data; `detect.ts` reads the services and files it names, in one way for all. Only where a product's settings say how long it may take
 * is there a small function. Files in `products/` hold one each.
 */
import type { OnFailure } from '../../host/observe/event.ts'
import type { Fact, Setting, Settings, SourceText } from './fact.ts'
import type { Service } from './services/service.ts'
import type { CommandOptions } from './text/options.ts'
import type { Tree } from './tree.ts'

/** The chain's recommended order: who may refuse cheaply first, who judges content later, who signs last. */
export const RANK = {
  greylist: 10,
  policy: 15,
  spf: 20,
  verifier: 30,
  dmarc: 40,
  virus: 50,
  content: 55,
  spam: 60,
  unknown: 70,
  signer: 90,
} as const

/** Everything that was read for one service of a product. */
export interface Given {
  readonly tree: Tree
  readonly service: Service
  readonly options: CommandOptions
  /** Of the product's configuration, keys in lower case. */
  readonly settings: Settings
}

/** Seconds. */
export interface Timeouts {
  readonly connect?: Fact<number>
  readonly command?: Fact<number>
  readonly end?: Fact<number>
}

export interface Use {
  readonly rank: number
  /** `remote`: for mail from outside that is not authenticated. `null`: for all mail. */
  readonly condition: 'remote' | null
  readonly onFailure: OnFailure
}

type Aspect = 'socket' | 'user' | 'group' | 'pidFile' | 'root'

export interface Product {
  /** In the configuration and in commands. */
  readonly name: string
  readonly title: string
  /** Names of units and init scripts. */
  readonly services: readonly string[]
  /** Names of rc.d scripts on the BSDs. */
  readonly rcScripts: readonly string[]
  readonly options?: {
    /** Letters that take a value. */
    readonly letters: string
    readonly of: Partial<Record<Aspect | 'config', string>>
  }
  readonly config?: {
    /** Looked for in this order, unless the command line names one. */
    readonly files: readonly string[]
    /** The command line's first operand names it. */
    readonly operand?: boolean
    read(text: SourceText, tree: Tree): Settings
    readonly keys: Partial<Record<Aspect, string>>
  }
  /** Variables of scripts and environment files. */
  readonly variables?: Partial<Record<Aspect | 'config', readonly string[]>>
  /** Where it listens when nothing says so. */
  defaultSocket?(tree: Tree): string | null
  readonly defaultUser?: string
  /** It speaks the milter protocol with code of its own instead of libmilter's: what libmilter bears is not known of it. @default false */
  readonly ownProtocol?: true
  /** How much time its settings give it. */
  timeouts?(given: Given): Timeouts
  /** Why it does not work as a milter although it is installed. */
  idle?(given: Given): Fact<string> | null
  use(given: Given): Use
}

const UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, min: 60, h: 3600, d: 86_400, w: 604_800 }

/** `'120s'`, `'5min'`, `'300'`: seconds. `null` for what is none, and for 0, which means "no limit" everywhere. */
export function seconds(setting: Setting | undefined): Fact<number> | null {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)?\w*$/i.exec(setting?.value ?? '')
  if (setting === undefined || match === null) return null
  const value = Number(match[1]) * (UNITS[match[2]?.toLowerCase() ?? 's'] ?? 1)
  return value > 0 && value <= 86_400 ? { value, source: setting.source } : null
}

export const plus = ({ value, source }: Fact<number>, more: number): Fact<number> => ({
  value: Math.ceil(value + more),
  source,
})

/** What the milter needs beyond its own longest wait. */
export const SLACK = 10
/** The entry's own defaults, in seconds. */
export const COMMAND = 30

export const longer = (a: Fact<number>, b: Fact<number> | null): Fact<number> =>
  b !== null && b.value > a.value ? b : a
