/**
 * The MTA side: we are the milter. A listener takes connections from MTAs and holds each one's conversation with a session that
 * its source opens. The daemon uses this face and nothing behind it.
 */
export { DEFAULT_DEADLINES, type Deadlines } from './connection.ts'
export { type Listener, type ListenerOptions, listen } from './listener.ts'
export type { HostSession, OpenedSession, SessionSource } from './source.ts'
