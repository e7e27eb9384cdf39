/**
 * `launch` of a socket: how the process behind an external milter is started, and whether that can be used.
 *
 * Only the words; nothing is started or looked for. Which way a start takes is decided in `process-control.ts`. Read by
 * `socket(…)`, and filled in by whoever finds milters on this machine.
 */
import { shown, suggestion } from '../../host/config/problem.ts'
import { type CommandEntry, entryProblems, isObject } from './launcher/entry.ts'
import { isId } from './launcher/frame.ts'

/**
 * One of: a unit of systemd, an init script, a command that milterhost runs itself, or an entry of the launcher's file. Units and init
 * scripts go through the launcher where there is one, by the name of the filter; a command does when it is for another user.
 */
export type LaunchOptions =
  | {
      /** A service or socket unit. @example 'opendkim.service' */
      readonly systemd: string
    }
  | {
      /** The name of an init script, for service(8). @example 'milter-greylist' */
      readonly service: string
    }
  | {
      /** An id in the file of the launcher, which says all the rest. */
      readonly launcher: string
    }
  | CommandEntry

const KINDS = ['systemd', 'service', 'command', 'launcher']

/** All that is wrong with the option, each a sentence that names it. */
export function launchProblems(value: unknown): string[] {
  if (!isObject(value)) return [`launch must be an object with one of ${KINDS.join(', ')}, not ${shown(value)}`]
  if ('launcher' in value) {
    const more = Object.keys(value).filter(key => key !== 'launcher')
    return [
      ...more.map(key => `launch.${key} cannot stand beside launch.launcher: the launcher's file says it`),
      ...(isId(value.launcher)
        ? []
        : [`launch.launcher must be an id of the launcher's file, not ${shown(value.launcher)}`]),
    ]
  }
  if (KINDS.every(kind => !(kind in value))) {
    const hint =
      Object.keys(value)
        .map(key => suggestion(key, KINDS))
        .find(text => text !== '') ?? ''
    return [`launch must be an object with one of ${KINDS.join(', ')}${hint}`]
  }
  return entryProblems(value).map(problem => (problem.startsWith('must') ? `launch ${problem}` : `launch.${problem}`))
}
