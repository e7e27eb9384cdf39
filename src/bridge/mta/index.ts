/**
 * The MTA side: we are the milter. A listener takes connections from MTAs and holds each one's conversation with a session that
 * its source opens. The daemon uses this face and nothing behind it.
 */
export { listenError } from './listen-error.ts'
export { adopt, type Listener, type ListenerOptions, type ListeningSocket, listen } from './listener.ts'
export { type PostfixFacts, readPostfix } from './postfix.ts'
export type { OpenedSession } from './source.ts'
export { clearPlace, place, temporaryName } from './unix-socket.ts'
