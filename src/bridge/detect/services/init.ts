/**
 * Whether anything on this machine starts services by itself.
 *
 * In a container the first process is a shell or a program, and what is enabled there is enabled for nobody. Below a root that is not
 * this machine's, nothing is known of it, and the answer is yes. Called by `detect.ts`.
 */
import type { Tree } from '../tree.ts'

const INITS: ReadonlySet<string> = new Set([
  'systemd',
  'init',
  'launchd',
  'openrc-init',
  'runit',
  'runit-init',
  's6-svscan',
  'dinit',
  'shepherd',
  'supervisord',
])

export function startsServices(tree: Tree): boolean {
  const first = tree.peek('/proc/1/comm')
  return first === null || INITS.has(first.trim())
}
