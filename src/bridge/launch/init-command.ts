/**
 * The system's own init, asked by program and arguments: systemctl, service, or the script itself.
 *
 * Only which program; who runs it sees to the rest. systemd blocks until the job is done; a unit with a socket or D-Bus name is
 * activated by that unit itself. For milterhost where it may ask on its own; the launcher, which
 * runs as root on Linux only, knows its two programs by heart.
 */
import { existsSync } from 'node:fs'
import type { Entry } from './launcher/entry.ts'
import type { Operation } from './launcher/frame.ts'

const SYSTEMCTL = ['/usr/bin/systemctl', '/bin/systemctl']
const SERVICE = ['/usr/sbin/service', '/sbin/service']
const SCRIPTS = ['/etc/init.d', '/etc/rc.d', '/usr/local/etc/rc.d', '/usr/pkg/etc/rc.d']

const present = (paths: readonly string[]): string => paths.find(path => existsSync(path)) ?? paths[0]!

export type InitEntry = Exclude<Entry, { command: unknown }>

/** For `status` an exit code of 0 means that it runs. */
export function initCommand(entry: InitEntry, operation: Operation): readonly [string, ...string[]] {
  if ('systemd' in entry) {
    return [
      present(SYSTEMCTL),
      '--no-ask-password',
      operation === 'status' ? 'is-active' : operation,
      '--',
      entry.systemd,
    ]
  }
  const service = SERVICE.find(path => existsSync(path))
  if (service !== undefined) return [service, entry.service, operation]
  return [present(SCRIPTS.map(folder => `${folder}/${entry.service}`)), operation]
}
