/**
 * What the controls reject with: one coded error for everything that can go wrong while a process is started, stopped or restarted.
 *
 * The message names the filter, what was tried and by what means; the cause is kept. Used by every control in this folder.
 */
import { type HostError, hostError } from '../../host/errors.ts'

export type Action = 'start' | 'stop' | 'restart'

const DONE: Readonly<Record<Action, string>> = { start: 'started', stop: 'stopped', restart: 'restarted' }

export const launchFailure = (filter: string, action: Action, by: string, why: string): HostError =>
  hostError('LAUNCH_FAILED', filter, DONE[action], by, why)
