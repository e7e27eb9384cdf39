/**
 * What can be asked of the process behind an external milter: start, stop, restart, status.
 *
 * Not how: systemd, an init script, a command of one's own and the launcher each have an implementation beside this file.
 * What holds: nothing here takes a command line from the network or the configuration at the time of the call; what may be
 * started was fixed when the control was made. Called by the health keeper of an external milter and by the control socket.
 */

/** What is known of the process. `unknown` when whoever would know could not be asked. */
export interface ProcessStatus {
  readonly state: 'running' | 'stopped' | 'failed' | 'unknown'
  readonly pid: number | null
  /** For people: what the init system or the supervisor says. */
  readonly detail: string
}

/** One external milter's process. Every method rejects with a coded error that says what was tried and what came of it. */
export interface ProcessControl {
  /** How it is done, for people: `systemd opendkim.service`, `launcher opendkim`, `command /usr/sbin/opendkim`. */
  readonly description: string
  start(signal: AbortSignal): Promise<void>
  stop(signal: AbortSignal): Promise<void>
  restart(signal: AbortSignal): Promise<void>
  status(signal: AbortSignal): Promise<ProcessStatus>
  /** The daemon ends: processes of its own are ended, those of the system's init are left alone. */
  close(): Promise<void>
}
