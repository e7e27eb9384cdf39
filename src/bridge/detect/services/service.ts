/**
 * A service as the machine starts it, whichever init system does: command line, environment, user, pid file, enabled or not.
 *
 * The readers (`systemd.ts`, `sysv.ts`, `rc.ts`) make these; the products take from them what they know. Nothing is started.
 */
import type { Fact, Setting } from '../fact.ts'
import type { Argument } from '../text/options.ts'

/** How one asks this machine to start it. */
export type Launch = { readonly systemd: string } | { readonly service: string }

export interface Service {
  /** Of the unit, init script or rc variable; with its instance or profile: `opendkim@mx`. */
  readonly name: string
  readonly kind: 'systemd' | 'sysv' | 'freebsd' | 'pkgsrc'
  /** The file that says how it is started. */
  readonly file: string
  /** The program first; empty when only a script knows. */
  readonly argv: readonly Argument[]
  /** Environment of a unit, variables of a script, those of rc.conf without their prefix. */
  readonly variables: ReadonlyMap<string, Setting>
  readonly user: Fact<string> | null
  readonly group: Fact<string> | null
  readonly pidFile: Fact<string> | null
  /** Folder that it takes for `/`. */
  readonly root: Fact<string> | null
  /** Sockets that systemd opens for it. */
  readonly listens: readonly Fact<string>[]
  readonly enabled: Fact<boolean>
  readonly launch: Launch
}
