/**
 * Whom to ask: the name servers of the configuration, else those of resolv.conf, read again when that file changes.
 *
 * Of resolv.conf only `nameserver`, `search` and `domain` count. `ndots` does not: the names asked for come out of mail, and with a
 * high `ndots` every one of them would be tried inside the site's own domains first. A file that is missing or names no
 * server means the machine's own, as in resolv.conf(5).
 */
import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { Logger } from '../host/observe/logger.ts'
import type { Clock } from '../host/time/clock.ts'
import { wireName } from './name.ts'

export interface NameServer {
  readonly address: string
  readonly port: number
}

export interface Surroundings {
  readonly servers: readonly NameServer[]
  /** Domains under which a name without a dot is looked for. */
  readonly search: readonly string[]
}

const OWN: NameServer = { address: '127.0.0.1', port: 53 }
/** As in the C library: more are not asked. */
const MOST_SERVERS = 3
const MOST_SEARCH = 6
/** Milliseconds for which a look at the file counts. */
const LOOK_EVERY = 5_000
const MOST_BYTES = 64 * 1024

export function parseResolvConf(text: string): Surroundings {
  const servers: NameServer[] = []
  let search: readonly string[] = []
  for (const line of text.slice(0, MOST_BYTES).split('\n')) {
    const [key, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/)
    if (key === 'nameserver' && isIP(values[0] ?? '') !== 0) servers.push({ address: values[0]!, port: 53 })
    // Of several the last counts.
    if (key === 'search' || key === 'domain') search = values.map(wireName).filter(name => name !== null)
  }
  return {
    servers: servers.length === 0 ? [OWN] : servers.slice(0, MOST_SERVERS),
    search: search.slice(0, MOST_SEARCH),
  }
}

export class ResolvConf {
  readonly #path: string
  readonly #clock: Clock
  readonly #log: Logger
  #known: Surroundings | null = null
  #stamp = ''
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking: Promise<Surroundings> | null = null

  constructor(path: string, clock: Clock, log: Logger) {
    this.#path = path
    this.#clock = clock
    this.#log = log
  }

  /** Never rejects. While the file is read again the old content counts. */
  current(): Surroundings | Promise<Surroundings> {
    if (this.#known !== null && this.#clock.monotonic() - this.#lookedAt < LOOK_EVERY) return this.#known
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null
    })
    return this.#known ?? this.#looking
  }

  async #look(): Promise<Surroundings> {
    this.#lookedAt = this.#clock.monotonic()
    try {
      const { ino, size, mtimeMs } = await stat(this.#path)
      const stamp = `${ino} ${size} ${mtimeMs}`
      if (this.#known === null || stamp !== this.#stamp) {
        this.#known = parseResolvConf(await readFile(this.#path, 'latin1'))
        if (this.#stamp !== '') this.#log.info({ file: this.#path, ...this.#known }, 'name servers changed')
        this.#stamp = stamp
      }
    } catch (error) {
      if (this.#known === null) {
        this.#log.warn({ file: this.#path, error }, 'no list of name servers: asking 127.0.0.1')
        this.#known = { servers: [OWN], search: [] }
      }
    }
    return this.#known
  }
}
